/** What a pattern of LIKE (CESQL 1.0, 3.4.3) says of how a text begins and ends. */
export interface LikeTexts {
  /** Before the first wildcard. */
  readonly first: string;
  /** After the last; '' where there is none. */
  readonly last: string;
  readonly hasWildcard: boolean;
  /** Whether it says more than those two: that something stands between them, or one character of any kind. */
  readonly hasMore: boolean;
}

export function textsOf(pattern: string): LikeTexts {
  const texts = [''];
  let hasAnyOne = false;
  for (let at = 0; at < pattern.length; at++) {
    const unit = pattern.charAt(at);
    const next = pattern.charAt(at + 1);
    if (unit === '%' || unit === '_') {
      texts.push('');
      hasAnyOne ||= unit === '_';
      continue;
    }
    const isEscape = unit === '\\' && (next === '%' || next === '_');
    if (isEscape) at += 1;
    texts[texts.length - 1] += isEscape ? next : unit;
  }
  const hasWildcard = texts.length > 1;
  const hasMore = hasAnyOne || texts.slice(1, -1).some((text) => text !== '');
  return { first: texts[0] ?? '', last: hasWildcard ? (texts.at(-1) ?? '') : '', hasWildcard, hasMore };
}
