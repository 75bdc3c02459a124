/** What a group has committed of a partition. */
export interface Committed {
  readonly offset: number;
  readonly metadata: string;
}

/**
 * Tells of each offset whether a commit says that it is settled. Written apart from dispatcher/settle.ts, so that what
 * is wrong there is not wrong here in the same way.
 *
 * Below the position all is settled. The metadata goes on from there: `r1:` are lengths in base 36 of unsettled and
 * settled offsets in turn, `b1:` is a bitmap in base64, most significant bit first. What it does not reach is unsettled.
 */
export function settledBy({ offset: position, metadata }: Committed): (offset: number) => boolean {
  const above = new Set<number>();
  const [, format, text = ''] = /^(r1|b1):(.*)$/.exec(metadata) ?? [];
  if (format === 'r1') {
    let at = position;
    for (const [index, length] of text.split('.').entries()) {
      const end = at + Number.parseInt(length, 36);
      for (; at < end; at++) if (index % 2 === 1) above.add(at);
    }
  } else if (format === 'b1') {
    const bits = [...Buffer.from(text, 'base64')].map((byte) => byte.toString(2).padStart(8, '0')).join('');
    for (const [index, bit] of [...bits].entries()) if (bit === '1') above.add(position + index);
  }
  return (offset) => offset < position || above.has(offset);
}
