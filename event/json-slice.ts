import { isUtf8 } from 'node:buffer';

/** The text is not JSON (RFC 8259), or not of the shape that is wanted. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
  /** The offset of the byte where it fails, as the message has it; null where it is the text as a whole. */
  readonly at: number | null;

  constructor(message?: string, at: number | null = null) {
    super(message);
    this.at = at;
  }
}

export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

/** A member of an object, and where its value lies in the bytes. */
export interface JsonMember {
  readonly name: string;
  readonly kind: JsonKind;
  /** The offset of the value's first byte. */
  readonly start: number;
  /** The offset after its last byte. */
  readonly end: number;
}

/**
 * How deep values may lie in each other. Parsers of the subscribers stop or break at about this depth (512 in PHP, 1,000
 * in Python and Jackson).
 */
export const jsonDepthMax = 1_000;

/**
 * The members of the object that the bytes are, in their order, duplicates included. The whole text is checked.
 * @throws JsonError with the offset of the byte
 */
export function membersOf(bytes: Buffer): JsonMember[] {
  const scanner = new Scanner(bytes);
  const members = scanner.object();
  scanner.end();
  return members;
}

/**
 * The members of each object of the array that the bytes are.
 * @throws JsonError with the offset of the byte
 */
export function membersOfEach(bytes: Buffer): JsonMember[][] {
  const scanner = new Scanner(bytes);
  const objects = scanner.array();
  scanner.end();
  return objects;
}

/**
 * Takes the bytes for one JSON value, with nothing but white space around it.
 * @throws JsonError with the offset of the byte
 */
export function checkJson(bytes: Buffer): void {
  const scanner = new Scanner(bytes);
  scanner.value();
  scanner.end();
}

/** Whether `checkJson` has nothing against the bytes. */
export function isJson(bytes: Buffer): boolean {
  try {
    checkJson(bytes);
    return true;
  } catch (error) {
    if (error instanceof JsonError) return false;
    throw error;
  }
}

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Goes over the bytes once. Keeps a stack of its own, so that no input overflows the call stack. */
class Scanner {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    if (!isUtf8(bytes)) throw new JsonError('the text is not valid UTF-8');
    this.#bytes = bytes;
  }

  /** An object at the top: its members. */
  object(): JsonMember[] {
    this.#space();
    if (this.#bytes[this.#at] !== openBrace) throw this.#unexpected('an object');
    this.#at++;
    const members: JsonMember[] = [];
    this.#space();
    if (this.#take(closeBrace)) return members;
    for (;;) {
      const nameStart = this.#at;
      const name = textOf(this.#bytes, nameStart, this.#key());
      this.#space();
      const start = this.#at;
      const kind = this.value();
      members.push({ name, kind, start, end: this.#at });
      this.#space();
      if (this.#take(closeBrace)) return members;
      if (!this.#take(comma)) throw this.#unexpected('"," or "}"');
      this.#space();
    }
  }

  /** An array of objects at the top: the members of each. */
  array(): JsonMember[][] {
    this.#space();
    if (this.#bytes[this.#at] !== openBracket) throw this.#unexpected('an array');
    this.#at++;
    const objects: JsonMember[][] = [];
    this.#space();
    if (this.#take(closeBracket)) return objects;
    for (;;) {
      objects.push(this.object());
      this.#space();
      if (this.#take(closeBracket)) return objects;
      if (!this.#take(comma)) throw this.#unexpected('"," or "]"');
    }
  }

  /** Passes over a value, however deep. */
  value(): JsonKind {
    this.#space();
    const kind = kindOf(this.#bytes[this.#at]);
    if (kind === undefined) throw this.#unexpected('a value');
    const inObject: boolean[] = [];
    do {
      if (this.#opens(inObject)) continue;
      this.#closes(inObject);
    } while (inObject.length > 0);
    return kind;
  }

  /** Only white space may follow. */
  end(): void {
    this.#space();
    if (this.#at < this.#bytes.length) throw this.#unexpected('the end of the text');
  }

  /** Begins a value; true where it is an object or array that is not empty, whose first value comes next. */
  #opens(inObject: boolean[]): boolean {
    this.#space();
    const byte = this.#bytes[this.#at];
    if (byte !== openBrace && byte !== openBracket) {
      this.#scalar(byte);
      return false;
    }
    if (inObject.length === jsonDepthMax) {
      throw new JsonError(`values lie deeper than ${jsonDepthMax} in each other at byte ${this.#at}`, this.#at);
    }
    this.#at++;
    this.#space();
    if (this.#take(byte === openBrace ? closeBrace : closeBracket)) return false;
    inObject.push(byte === openBrace);
    if (byte === openBrace) this.#key();
    return true;
  }

  /** After a value: closes what ends here, up to where another value comes next or all are closed. */
  #closes(inObject: boolean[]): void {
    while (inObject.length > 0) {
      this.#space();
      const isObject = inObject[inObject.length - 1] === true;
      if (this.#take(comma)) {
        this.#space();
        if (isObject) this.#key();
        return;
      }
      if (!this.#take(isObject ? closeBrace : closeBracket))
        throw this.#unexpected(isObject ? '"," or "}"' : '"," or "]"');
      inObject.pop();
    }
  }

  #scalar(byte: number | undefined): void {
    switch (kindOf(byte)) {
      case 'string':
        this.#string();
        break;
      case 'boolean':
        this.#literal(byte === 0x74 ? 'true' : 'false');
        break;
      case 'null':
        this.#literal('null');
        break;
      case 'number':
        this.#number();
        break;
      default:
        throw this.#unexpected('a value');
    }
  }

  /** The name of a member, with its colon. Returns the offset after the name. */
  #key(): number {
    if (this.#bytes[this.#at] !== quote) throw this.#unexpected('the name of a member in double quotes');
    this.#string();
    const end = this.#at;
    this.#space();
    if (!this.#take(colon)) throw this.#unexpected('":"');
    return end;
  }

  #string(): void {
    const bytes = this.#bytes;
    let at = this.#at + 1;
    for (;;) {
      const byte = bytes[at];
      if (byte === quote) break;
      if (byte === undefined || byte < 0x20) {
        this.#at = at;
        throw this.#unexpected('the rest of a string, controls escaped');
      }
      if (byte === backslash) {
        this.#at = at;
        at += this.#escape();
      } else {
        at++;
      }
    }
    this.#at = at + 1;
  }

  /** The bytes that the escape here takes. */
  #escape(): number {
    const byte = this.#bytes[this.#at + 1];
    if (byte === 0x75) {
      for (let at = this.#at + 2; at < this.#at + 6; at++) {
        if (isHex(this.#bytes[at])) continue;
        throw new JsonError(`\\u without four hexadecimal digits at byte ${this.#at}`, this.#at);
      }
      return 6;
    }
    if (byte === undefined || !escapes.has(byte)) {
      throw new JsonError(`unknown escape in a string at byte ${this.#at}`, this.#at);
    }
    return 2;
  }

  #number(): void {
    this.#take(0x2d);
    if (!this.#take(0x30)) this.#digits();
    if (this.#take(0x2e)) this.#digits();
    if (this.#take(0x65) || this.#take(0x45)) {
      if (!this.#take(0x2b)) this.#take(0x2d);
      this.#digits();
    }
  }

  #digits(): void {
    if (!isDigit(this.#bytes[this.#at])) throw this.#unexpected('a digit');
    while (isDigit(this.#bytes[this.#at])) this.#at++;
  }

  #literal(word: string): void {
    for (let i = 0; i < word.length; i++) {
      if (this.#bytes[this.#at] !== word.charCodeAt(i)) throw this.#unexpected(`the word ${word}`);
      this.#at++;
    }
  }

  #space(): void {
    const bytes = this.#bytes;
    let at = this.#at;
    for (let byte = bytes[at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = bytes[at]) at++;
    this.#at = at;
  }

  #take(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at++;
    return true;
  }

  #unexpected(wanted: string): JsonError {
    if (this.#at >= this.#bytes.length)
      return new JsonError(`the text ends at byte ${this.#at}, ${wanted} was to come`, this.#at);
    const seen = JSON.stringify(this.#bytes.toString('utf8', this.#at, this.#at + 4).slice(0, 1));
    return new JsonError(`${seen} at byte ${this.#at}, ${wanted} was to come`, this.#at);
  }
}

/** What the JSON string at these offsets, quotes included, says. It may hold lone surrogates. */
export function textOf(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end);
  return text.includes('\\') ? (JSON.parse(text) as string) : text.slice(1, -1);
}

function kindOf(byte: number | undefined): JsonKind | undefined {
  switch (byte) {
    case openBrace:
      return 'object';
    case openBracket:
      return 'array';
    case quote:
      return 'string';
    case 0x74:
    case 0x66:
      return 'boolean';
    case 0x6e:
      return 'null';
    default:
      return byte === 0x2d || isDigit(byte) ? 'number' : undefined;
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isHex(byte: number | undefined): boolean {
  return isDigit(byte) || (byte !== undefined && (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}

/** The characters `"\/bfnrt`, which follow a backslash. */
const escapes: ReadonlySet<number> = new Set(Buffer.from('"\\/bfnrt'));
