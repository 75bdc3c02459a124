/** A character that must be there, or null for any one. */
type Characters = readonly (string | null)[];

/**
 * Compiles a pattern of LIKE (CESQL 1.0, 3.4.3): `%` is any number of characters, `_` is any one, and a backslash
 * before either takes that away. All else stands for itself, a backslash before another character included. What a
 * match takes grows at most with the length of the text times that of the pattern.
 */
export function compileLike(pattern: string): (text: string) => boolean {
  const parts = partsOf(pattern);
  if (parts.some((part) => part.includes(null))) return (text) => matchesParts(parts, text);
  return compileTexts(parts.map((part) => part.join('')));
}

/** What stands between the `%`s. */
function partsOf(pattern: string): Characters[] {
  let part: (string | null)[] = [];
  const parts: Characters[] = [part];
  const characters = Array.from(pattern);
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] ?? '';
    const next = characters[i + 1];
    if (character === '\\' && (next === '%' || next === '_')) {
      part.push(next);
      i += 1;
    } else if (character === '%') {
      part = [];
      parts.push(part);
    } else {
      part.push(character === '_' ? null : character);
    }
  }
  return parts;
}

function compileTexts(texts: readonly string[]): (text: string) => boolean {
  const prefix = texts[0] ?? '';
  if (texts.length === 1) return (text) => text === prefix;
  const suffix = texts.at(-1) ?? '';
  const middle = texts.slice(1, -1).filter((text) => text !== '');
  const shortest = prefix.length + suffix.length;
  if (middle.length === 0) {
    if (suffix === '') return (text) => text.startsWith(prefix);
    return (text) => text.length >= shortest && text.startsWith(prefix) && text.endsWith(suffix);
  }
  return (text) => {
    if (text.length < shortest || !text.startsWith(prefix) || !text.endsWith(suffix)) return false;
    // The leftmost place of each is as good as any, since what comes after has the most room then.
    let at = prefix.length;
    for (const wanted of middle) {
      const found = text.indexOf(wanted, at);
      if (found === -1) return false;
      at = found + wanted.length;
    }
    return at <= text.length - suffix.length;
  };
}

function matchesParts(parts: readonly Characters[], text: string): boolean {
  // Within a string of the basic plane, a unit is a character.
  const characters = /[\ud800-\udbff]/.test(text) ? Array.from(text) : text;
  const first = parts[0] ?? [];
  if (parts.length === 1) return first.length === characters.length && matchesAt(first, characters, 0);
  const last = parts.at(-1) ?? [];
  const end = characters.length - last.length;
  if (end < first.length || !matchesAt(first, characters, 0) || !matchesAt(last, characters, end)) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    while (at + part.length <= end && !matchesAt(part, characters, at)) at += 1;
    at += part.length;
    if (at > end) return false;
  }
  return true;
}

function matchesAt(part: Characters, characters: ArrayLike<string>, at: number): boolean {
  for (let i = 0; i < part.length; i++) {
    const wanted = part[i];
    if (wanted !== null && wanted !== characters[at + i]) return false;
  }
  return true;
}
