import { headerNameAt, headerValueAt } from '../headers.ts';
import type { HeaderValue } from '../log.ts';

/** Reads the primitive types of Kafka's protocol. A read beyond the end throws RangeError. */
export class ByteReader {
  position = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  skip(bytes: number): void {
    this.position += bytes;
  }

  int16(): number {
    this.position += 2;
    return this.#bytes.readInt16BE(this.position - 2);
  }

  int32(): number {
    this.position += 4;
    return this.#bytes.readInt32BE(this.position - 4);
  }

  /** An offset or a time. Neither comes near 2^53. */
  int64(): number {
    return Number(this.bigint64());
  }

  bigint64(): bigint {
    this.position += 8;
    return this.#bytes.readBigInt64BE(this.position - 8);
  }

  /** A string after its length in two bytes; null is told as ''. */
  string(): string {
    return this.#take(Math.max(0, this.int16())).toString();
  }

  /** Bytes after their length in four bytes; null is told as none. */
  bytes(): Buffer {
    return this.#take(Math.max(0, this.int32()));
  }

  /** A number of up to 53 bits in zigzag encoding, 7 bits a byte. */
  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes.readUInt8(this.position++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
  }

  /** A number without sign, 7 bits a byte. */
  unsignedVarint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes.readUInt8(this.position++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  /** A string of a flexible version. */
  compactString(): string | null {
    const length = this.unsignedVarint() - 1;
    return length < 0 ? null : this.#take(length).toString();
  }

  /** An array of a flexible version; null is told as empty. */
  compactArray<T>(readOne: () => T): T[] {
    return Array.from({ length: Math.max(0, this.unsignedVarint() - 1) }, readOne);
  }

  /** Tagged fields of a flexible version, none of which is of interest. */
  skipTags(): void {
    for (let left = this.unsignedVarint(); left > 0; left--) {
      this.unsignedVarint();
      this.#pass(this.unsignedVarint());
    }
  }

  varBytes(): Buffer | null {
    const length = this.varint();
    return length < 0 ? null : this.#take(length);
  }

  varHeaderName(): string {
    const start = this.#pass(Math.max(0, this.varint()));
    return headerNameAt(this.#bytes, start, this.position);
  }

  /** A null value is told as an empty one. */
  varHeaderValue(): HeaderValue {
    const start = this.#pass(Math.max(0, this.varint()));
    return headerValueAt(this.#bytes, start, this.position);
  }

  #take(length: number): Buffer {
    const start = this.#pass(length);
    return this.#bytes.subarray(start, this.position);
  }

  /** @returns where it was before */
  #pass(length: number): number {
    const start = this.position;
    this.position += length;
    if (this.position > this.#bytes.length) throw new RangeError('the answer is shorter than it says');
    return start;
  }
}
