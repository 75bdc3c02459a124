/** A line of a stream of bytes. */
export interface Line {
  /** From 1. */
  readonly number: number;
  /** Without the line break; null: it was longer than allowed. */
  readonly bytes: Buffer | null;
  /** Bytes read up to the end of this line. */
  readonly position: number;
}

const newline = 0x0a;
const carriageReturn = 0x0d;

/**
 * Splits a stream at `\n` (or `\r\n`) alone: JSON allows U+2028 within a string, where node:readline would split.
 * Holds one line at a time; of a line over `lineMaxBytes` nothing.
 */
export async function* linesOf(chunks: AsyncIterable<Buffer | string>, lineMaxBytes: number): AsyncGenerator<Line> {
  let number = 0;
  let position = 0;
  let parts: Buffer[] = [];
  let length = 0;
  const add = (part: Buffer): void => {
    length += part.length;
    if (length > lineMaxBytes) parts = [];
    else parts.push(part);
  };
  const finish = (): Line => {
    const joined = length > lineMaxBytes ? null : Buffer.concat(parts);
    const bytes = joined?.at(-1) === carriageReturn ? joined.subarray(0, -1) : joined;
    parts = [];
    length = 0;
    number += 1;
    return { number, bytes, position };
  };

  for await (const given of chunks) {
    const chunk = typeof given === 'string' ? Buffer.from(given) : given;
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      add(chunk.subarray(start, end));
      position += end + 1 - start;
      start = end + 1;
      yield finish();
    }
    add(chunk.subarray(start));
    position += chunk.length - start;
  }
  if (length > 0) yield finish();
}
