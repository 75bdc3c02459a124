/** What a server sent is no HTTP/1.1, or more of a header than is taken. */
export class AnswerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'AnswerError';
  }
}

/** What is read of an answer, in this order. */
export interface AnswerReceiver {
  /** @param headers flat: name, value, name, value; names in lower case, values with a character for each byte */
  onHead(status: number, headers: string[]): void;
  /** @param chunk only until this returns: its memory is used again */
  onData(chunk: Buffer): void;
}

/**
 * Reads one HTTP/1.1 answer to a POST from the bytes of a connection, however they are cut (RFC 9112). Interim answers
 * (1xx) are passed over; a body ends by its length, by its last chunk, or with the connection.
 */
export class AnswerParser {
  readonly #headBytesMax: number;
  readonly #receiver: AnswerReceiver;
  #state: 'head' | 'length' | 'chunkSize' | 'chunk' | 'chunkEnd' | 'trailers' | 'untilClose' | 'ended' = 'head';
  /** What came of a line, or of a head, that is not whole yet. */
  #rest: Buffer | null = null;
  /** Bytes of the head, trailers and interim answers included. */
  #headBytes = 0;
  /** Bytes of the body, or of its chunk, that are still to come. */
  #left = 0;
  #mayReuse = false;

  constructor(receiver: AnswerReceiver, headBytesMax: number) {
    this.#receiver = receiver;
    this.#headBytesMax = headBytesMax;
  }

  /** From now on the next answer of the same connection is read. */
  restart(): void {
    this.#state = 'head';
    this.#headBytes = 0;
  }

  /** Whether the answer is whole. */
  get isEnded(): boolean {
    return this.#state === 'ended';
  }

  /** Whether the connection can carry another request after the answer. */
  get mayReuse(): boolean {
    return this.#mayReuse;
  }

  /** Whether anything of an answer has come. */
  get hasBegun(): boolean {
    return this.#state !== 'head' || this.#rest !== null || this.#headBytes > 0;
  }

  /**
   * @returns whether all bytes were of the answer: a server that sends more can't be trusted with another request
   * @throws AnswerError
   */
  read(bytes: Buffer): boolean {
    let input = bytes;
    if (this.#rest !== null) {
      input = Buffer.concat([this.#rest, bytes]);
      this.#rest = null;
    }
    let at = 0;
    while (at < input.length) {
      if (this.#state === 'ended') return false;
      const next = this.#step(input, at);
      if (next < 0) {
        // Its memory is the connection's, and used again.
        this.#rest = Buffer.from(input.subarray(at));
        return true;
      }
      at = next;
    }
    return true;
  }

  /** The server has closed the connection in order: an answer that goes on until then is whole. */
  close(): void {
    if (this.#state === 'untilClose') this.#state = 'ended';
  }

  /** @returns where to go on; negative if more is needed first */
  #step(input: Buffer, at: number): number {
    switch (this.#state) {
      case 'head':
        return this.#readHead(input, at);
      case 'length':
      case 'chunk':
      case 'untilClose':
        return this.#readData(input, at);
      case 'chunkSize':
        return this.#readLine(input, at, (line) => this.#chunkSize(line));
      case 'chunkEnd':
        return this.#readLine(input, at, (line) => {
          if (line !== '') throw new AnswerError('a chunk of the answer is longer than it says');
          this.#state = 'chunkSize';
        });
      case 'trailers':
        return this.#readLine(input, at, (line) => {
          if (line === '') this.#state = 'ended';
          else parseField(line);
        });
      case 'ended':
        return -1;
    }
  }

  #readHead(input: Buffer, at: number): number {
    const end = input.indexOf('\r\n\r\n', at, 'latin1');
    if (end < 0) {
      this.#checkHead(this.#headBytes + input.length - at);
      // What can't become a head is found out by what it is, and not by a timeout.
      const text = input.toString('latin1', at);
      if (!'HTTP/1.'.startsWith(text.slice(0, 7)) || /(?:^|[^\r])\n/.test(text)) throw notHttp(input, at);
      return -1;
    }
    this.#headBytes += end + 4 - at;
    this.#checkHead(this.#headBytes);
    const lines = input.toString('latin1', at, end).split('\r\n');
    const status = statusLinePattern.exec(lines[0] ?? '');
    if (status === null) throw notHttp(input, at);
    this.#head(Number(status[2]), status[1] === '1', lines);
    return end + 4;
  }

  /** @param lines the status line, which is read already, and the headers */
  #head(status: number, is11: boolean, lines: readonly string[]): void {
    if (status === 101) throw new AnswerError('the answer switches to another protocol, which was not asked for');
    const headers: string[] = [];
    let length: string | undefined;
    let encoding: string | undefined;
    let connection = '';
    for (let i = 1; i < lines.length; i++) {
      const [name, value] = parseField(lines[i] ?? '');
      headers.push(name, value);
      if (name === 'content-length') {
        if (length !== undefined) throw new AnswerError('the answer has two headers content-length');
        length = value;
      } else if (name === 'transfer-encoding') encoding = encoding === undefined ? value : `${encoding}, ${value}`;
      else if (name === 'connection') connection += `,${value.toLowerCase()}`;
    }
    if (status < 200) return;
    this.#mayReuse = is11 ? !hasToken(connection, 'close') : hasToken(connection, 'keep-alive');
    this.#receiver.onHead(status, headers);
    if (status === 204 || status === 304) this.#state = 'ended';
    else if (encoding !== undefined) {
      if (length !== undefined) throw new AnswerError('the answer has both transfer-encoding and content-length');
      if (/(?:^|,)[ \t]*chunked$/i.test(encoding)) this.#state = 'chunkSize';
      else this.#untilClose();
    } else if (length === undefined) this.#untilClose();
    else {
      if (!lengthPattern.test(length)) throw new AnswerError(`the answer's content-length is ${shown(length)}`);
      this.#left = Number(length);
      this.#state = this.#left === 0 ? 'ended' : 'length';
    }
  }

  #untilClose(): void {
    this.#mayReuse = false;
    this.#state = 'untilClose';
  }

  #readData(input: Buffer, at: number): number {
    if (this.#state === 'untilClose') {
      this.#receiver.onData(at === 0 ? input : input.subarray(at));
      return input.length;
    }
    const end = Math.min(input.length, at + this.#left);
    this.#left -= end - at;
    this.#receiver.onData(input.subarray(at, end));
    if (this.#left === 0) this.#state = this.#state === 'chunk' ? 'chunkEnd' : 'ended';
    return end;
  }

  #readLine(input: Buffer, at: number, onLine: (line: string) => void): number {
    const end = input.indexOf('\r\n', at, 'latin1');
    const length = (end < 0 ? input.length : end) - at;
    if (length > lineBytesMax) throw new AnswerError(`a line of the answer is longer than ${lineBytesMax} bytes`);
    if (end < 0) return -1;
    if (this.#state === 'trailers') {
      this.#headBytes += length + 2;
      this.#checkHead(this.#headBytes);
    }
    onLine(input.toString('latin1', at, end));
    return end + 2;
  }

  #chunkSize(line: string): void {
    const size = chunkSizePattern.exec(line)?.[1];
    if (size === undefined) throw new AnswerError(`the answer has ${shown(line)} for the size of a chunk`);
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? 'trailers' : 'chunk';
  }

  #checkHead(bytes: number): void {
    if (bytes > this.#headBytesMax) {
      throw new AnswerError(`the answer's headers are longer than ${this.#headBytesMax} bytes`);
    }
  }
}

/** Of a line that frames a chunk. */
const lineBytesMax = 16_384;

const statusLinePattern = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const lengthPattern = /^[0-9]{1,15}$/;
/** Extensions of a chunk are passed over; 12 digits are more than any answer has. */
const chunkSizePattern = /^([0-9A-Fa-f]{1,12})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;
const fieldPattern = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;

function parseField(line: string): [name: string, value: string] {
  const found = fieldPattern.exec(line);
  if (found === null) throw new AnswerError(`the answer has a header line that is none: ${shown(line)}`);
  const [, name = '', value = ''] = found;
  return [name.toLowerCase(), value.trimEnd()];
}

function hasToken(list: string, token: string): boolean {
  return list !== '' && list.split(',').some((one) => one.trim() === token);
}

function notHttp(input: Buffer, at: number): AnswerError {
  return new AnswerError(`the answer is not HTTP/1.1: it begins with ${shown(input.toString('latin1', at, at + 40))}`);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
