/** Writes the primitive types of Kafka's protocol into a buffer of a length that is known before. */
export class ByteWriter {
  readonly bytes: Buffer;
  #position = 0;

  constructor(length: number) {
    this.bytes = Buffer.allocUnsafe(length);
  }

  get position(): number {
    return this.#position;
  }

  int8(value: number): void {
    this.#position = this.bytes.writeInt8(value, this.#position);
  }

  int16(value: number): void {
    this.#position = this.bytes.writeInt16BE(value, this.#position);
  }

  int32(value: number): void {
    this.#position = this.bytes.writeInt32BE(value, this.#position);
  }

  /** An offset, a time or -1. */
  int64(value: number): void {
    this.#position = this.bytes.writeBigInt64BE(BigInt(value), this.#position);
  }

  /** A number of up to 52 bits and a sign in zigzag encoding, 7 bits a byte. */
  varint(value: number): void {
    let left = zigzag(value);
    for (; left >= 0x80; left = Math.floor(left / 128)) this.bytes[this.#position++] = (left % 128) | 0x80;
    this.bytes[this.#position++] = left;
  }

  raw(bytes: Buffer): void {
    this.#position += bytes.copy(this.bytes, this.#position);
  }

  text(text: string): void {
    this.#position += this.bytes.write(text, this.#position);
  }
}

export function varintLength(value: number): number {
  let length = 1;
  for (let left = zigzag(value); left >= 0x80; left = Math.floor(left / 128)) length++;
  return length;
}

function zigzag(value: number): number {
  return value >= 0 ? 2 * value : -2 * value - 1;
}
