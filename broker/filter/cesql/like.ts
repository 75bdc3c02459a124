/** A character that must be there, or null for any one. */
type Characters = readonly (string | null)[];

/**
 * Compiles a pattern of LIKE (CESQL 1.0, 3.4.3): `%` is any number of characters, `_` is any one, and a backslash
 * before either takes that away. All else stands for itself, a backslash before another character included. No part of
 * the text is tried twice with the same part of the pattern, whatever the two are.
 */
export function compileLike(pattern: string): (text: string) => boolean {
  const parts = partsOf(pattern);
  if (parts.some((part) => part.includes(null))) return compileParts(parts);
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

function compileParts(parts: readonly Characters[]): (text: string) => boolean {
  const first = parts[0] ?? [];
  const last = parts.at(-1) ?? [];
  const middle = parts.slice(1, -1).map((part) => new Search(part));
  return (text) => {
    // Within a string of the basic plane, a unit is a character.
    const characters = /[\ud800-\udbff]/.test(text) ? Array.from(text) : text;
    const end = characters.length - last.length;
    if (parts.length === 1) return end === 0 && matchesAt(first, characters, 0);
    if (end < first.length || !matchesAt(first, characters, 0) || !matchesAt(last, characters, end)) return false;
    let at = first.length;
    for (const search of middle) {
      at = search.endOf(characters, at, end);
      if (at === -1) return false;
    }
    return true;
  };
}

function matchesAt(part: Characters, characters: ArrayLike<string>, at: number): boolean {
  for (let i = 0; i < part.length; i++) {
    const wanted = part[i];
    if (wanted !== null && wanted !== characters[at + i]) return false;
  }
  return true;
}

/**
 * Finds a part in a text (the Shift-And algorithm): a bit of the state says that so much of the part, from its
 * beginning, is what the text has last. A character of the text takes one step for each 32 of the part, or two.
 */
class Search {
  readonly #length: number;
  readonly #words: number;
  /** Where any character may stand, a bit for each place of the part. */
  readonly #anywhere: Uint32Array;
  /** Where those characters may stand that have many places, of which there are few, with those for any. */
  readonly #many = new Map<string, Uint32Array>();
  /** Where the others may stand, as numbers of places. */
  readonly #few = new Map<string, readonly number[]>();

  constructor(part: Characters) {
    this.#length = part.length;
    this.#words = Math.ceil(part.length / 32);
    const places = Map.groupBy(part.keys(), (place) => part[place] ?? null);
    this.#anywhere = bitsOf(places.get(null) ?? [], new Uint32Array(this.#words));
    for (const [character, own] of places) {
      if (character === null) continue;
      if (own.length > this.#words) this.#many.set(character, bitsOf(own, this.#anywhere));
      else this.#few.set(character, own);
    }
  }

  /** The offset after the leftmost place of the part between those two offsets; -1 where there is none. */
  endOf(characters: ArrayLike<string>, from: number, to: number): number {
    if (this.#length === 0) return from;
    let state = new Uint32Array(this.#words);
    let next = new Uint32Array(this.#words);
    for (let at = from; at < to; at++) {
      const character = characters[at] ?? '';
      const allowed = this.#many.get(character) ?? this.#anywhere;
      let carry = 1;
      for (let word = 0; word < this.#words; word++) {
        const before = state[word] ?? 0;
        next[word] = ((before << 1) | carry) & (allowed[word] ?? 0);
        carry = before >>> 31;
      }
      for (const place of this.#few.get(character) ?? none) {
        if (place === 0 || hasBit(state, place - 1)) setBit(next, place);
      }
      [state, next] = [next, state];
      if (hasBit(state, this.#length - 1)) return at + 1;
    }
    return -1;
  }
}

const none: readonly number[] = [];

/** Those bits beside the others. */
function bitsOf(places: readonly number[], others: Uint32Array): Uint32Array {
  const bits = others.slice();
  for (const place of places) setBit(bits, place);
  return bits;
}

function hasBit(bits: Uint32Array, place: number): boolean {
  return (((bits[place >>> 5] ?? 0) >>> (place & 31)) & 1) === 1;
}

function setBit(bits: Uint32Array, place: number): void {
  bits[place >>> 5] = (bits[place >>> 5] ?? 0) | (1 << (place & 31));
}
