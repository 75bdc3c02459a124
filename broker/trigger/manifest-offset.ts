/**
 * Where a character of a YAML string was typed. What YAML adds to a string or takes from it is white space (indents,
 * folded lines, the header of a block), quotes and escapes, so that its other characters keep their order: the one
 * that is meant is found by its number among them.
 * @param source the string as it was typed, with its quotes or the header of its block
 * @param value what it says
 * @param offset of the character within the value, in UTF-16 units; its length means its end
 * @returns the offset within the source; of white space and of the end, what comes after the character before it
 */
export function offsetInSource(source: string, value: string, offset: number): number {
  const before = value.slice(0, offset).replaceAll(/\s/g, '').length;
  const isVisible = /^\S/.test(value.slice(offset));
  let seen = 0;
  let after: number | undefined;
  for (const { start, length, units } of visibleUnits(source)) {
    const isReached = isVisible ? seen + units > before : seen >= before;
    if (isReached) return isVisible ? start : (after ?? start);
    seen += units;
    after = start + length;
  }
  return after ?? 0;
}

/** A character that is no white space: where it was typed, in how many characters, and how many units it says. */
interface Unit {
  readonly start: number;
  readonly length: number;
  readonly units: number;
}

function* visibleUnits(source: string): Generator<Unit> {
  const style = source[0];
  if (style === "'") yield* unitsOf(source, 1, source.length - 1, /''|\S/g);
  else if (style === '"') yield* unitsOf(source, 1, source.length - 1, doubleQuoted);
  else if (style === '|' || style === '>') yield* unitsOf(source, source.indexOf('\n') + 1, source.length, /\S/g);
  else yield* unitsOf(source, 0, source.length, /\S/g);
}

const doubleQuoted = /\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\r?\n|.)|\S/g;

function* unitsOf(source: string, from: number, to: number, pattern: RegExp): Generator<Unit> {
  for (const { 0: typed, index } of source.slice(from, to).matchAll(pattern)) {
    const units = typed.startsWith('\\') && pattern === doubleQuoted ? escapedUnits(typed.slice(1)) : 1;
    if (units > 0) yield { start: from + index, length: typed.length, units };
  }
}

/** How many units that are no white space stand for what is typed after a backslash. */
function escapedUnits(typed: string): number {
  const isCode = typed.length > 2;
  if (!isCode) return whiteEscapes.includes(typed) ? 0 : 1;
  return String.fromCodePoint(Number.parseInt(typed.slice(1), 16)).replaceAll(/\s/g, '').length;
}

/** What after a backslash stands for white space, a line break that it takes away included. */
const whiteEscapes = ' \t\r\ntnvfr_LP';
