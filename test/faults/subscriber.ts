import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultLedger, OpenRequest } from './ledger.ts';
import { callerAt } from './member.ts';
import { contentOf } from './sender.ts';

export type Manner =
  | 'good'
  | 'hang'
  | 'dribble'
  | 'reset'
  | 'huge'
  | 'garbage'
  | 'redirect'
  | 'refuse'
  /** Good, but it comes and goes. */
  | 'flap';

export interface SubscriberOptions {
  readonly trigger: string;
  readonly ledger: FaultLedger;
  /** How long a good answer takes, at most, in milliseconds: not the same for each event. */
  readonly answersAfterMs: number;
}

/** Between two bytes, in milliseconds: a whole answer of 59 bytes is within the 4 s of a moody trigger. */
const dribbleMs = 50;
/** Up and down times of one that flaps, in milliseconds. */
const flapMs = 700;
const hugeBytes = 100 * 1_048_576;
/** What Posthorn reads of an answer by default. */
const answerBytesMax = 1_048_576;

const status = Buffer.from('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok');
const endless = Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${hugeBytes}\r\n\r\n`);

/** The subscriber of one trigger, which answers in a manner that can be changed. It notes what it answers well. */
export class Subscriber {
  readonly #options: SubscriberOptions;
  readonly #server: Server;
  readonly #closing = new AbortController();
  #port = 0;
  #manner: Manner = 'good';
  #flapping: Promise<void> = Promise.resolve();

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      this.#serve(request, response).catch(() => request.socket.destroy());
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  async start(): Promise<void> {
    await this.#listen();
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** How it answers what comes from now on. */
  async behave(manner: Manner): Promise<void> {
    this.#manner = manner;
    await this.#flapping;
    if (manner === 'flap') this.#flapping = this.#flap();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#flapping;
    await this.#leave();
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async #leave(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #flap(): Promise<void> {
    while (this.#manner === 'flap' && !this.#closing.signal.aborted) {
      await this.#leave();
      await this.#pause();
      await this.#listen();
      await this.#pause();
    }
  }

  #pause(): Promise<void> {
    return delay(flapMs, undefined, { signal: this.#closing.signal }).catch(() => {});
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { ledger, trigger } = this.#options;
    const event = Number(request.headers['ce-id']);
    const content = await bodyOf(request);
    if (content !== contentOf(event)) ledger.corrupt.push(`${trigger}: event ${event} with ${content.slice(0, 80)}`);
    const attempt = Number(request.headers['posthorn-attempt']);
    ledger.requested(trigger, event, attempt, callerAt(request.socket.remoteAddress ?? ''));
    const open: OpenRequest = { trigger, event };
    ledger.open.add(open);
    response.once('close', () => ledger.open.delete(open));
    try {
      const answeredMs = await this.#answer(event, request, response);
      if (answeredMs !== null) ledger.arrived(trigger, event, answeredMs);
    } finally {
      ledger.open.delete(open);
    }
  }

  /**
   * @returns null unless it was answered well; else a time before which Posthorn can't have had its answer, as it may
   *   send what comes next in the same moment
   */
  async #answer(event: number, { socket }: IncomingMessage, response: ServerResponse): Promise<number | null> {
    const { answersAfterMs, ledger } = this.#options;
    const now = (): number => ledger.now();
    switch (this.#manner) {
      case 'good':
      case 'flap':
        if (answersAfterMs > 0) await delay((answersAfterMs * ((event * 7) % 11)) / 10);
        return (await ended(response.writeHead(200))) ? now() : null;
      case 'hang':
        return this.#timesOut(event, socket, Buffer.alloc(0));
      case 'dribble':
        // Some are through in time, as slow as they are.
        return event % 2 === 0 ? dribbleWell(socket, now) : this.#timesOut(event, socket, endless);
      case 'reset':
        socket.resetAndDestroy();
        return null;
      case 'huge':
        return sendHuge(response, now);
      case 'garbage':
        socket.end('HTTP/7.7 two hundred\r\n\0\r\n\r\nwhat?\r\n');
        return null;
      case 'redirect':
        ledger.refused(this.#options.trigger, event);
        return notWell(response.writeHead(307, { location: 'http://127.0.0.1:9/elsewhere' }));
      case 'refuse':
        return notWell(response.writeHead(503, { 'retry-after': '1' }));
    }
  }

  /** Sends these bytes, slowly, and no more. */
  async #timesOut(event: number, socket: IncomingMessage['socket'], bytes: Buffer): Promise<null> {
    this.#options.ledger.countLeftToTimeOut(this.#options.trigger, event);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await Promise.all([closed, dribble(socket, bytes)]);
    return null;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** Whether the answer went out before the other side had closed the connection. */
function ended(response: ServerResponse): Promise<boolean> {
  return new Promise((resolve) => {
    if (response.destroyed) resolve(false);
    response.once('finish', () => resolve(true));
    response.once('close', () => resolve(false));
    response.end();
  });
}

async function notWell(response: ServerResponse): Promise<null> {
  await ended(response);
  return null;
}

async function dribbleWell(socket: IncomingMessage['socket'], now: () => number): Promise<number | null> {
  const isTaken = await dribble(socket, status.subarray(0, -1));
  const lastByteMs = now();
  // Who has it may close the connection at once.
  socket.end(status.subarray(-1));
  return isTaken ? lastByteMs : null;
}

/** Byte by byte; true if all were sent before the other side closed the connection. */
async function dribble(socket: IncomingMessage['socket'], bytes: Buffer): Promise<boolean> {
  for (const byte of bytes) {
    if (socket.destroyed) return false;
    socket.write(Buffer.of(byte));
    await delay(dribbleMs);
  }
  return !socket.destroyed;
}

/** Posthorn reads so much as it allows an answer (1 MiB), and cuts: with the status alone it has its answer. */
async function sendHuge(response: ServerResponse, now: () => number): Promise<number | null> {
  const piece = Buffer.alloc(65_536, 'x');
  response.writeHead(200, { 'content-length': hugeBytes });
  const closed = new Promise<void>((resolve) => response.once('close', () => resolve()));
  let takenBytes = 0;
  let enoughMs = 0;
  const taken = (error?: Error | null): void => {
    if (!error) takenBytes += piece.length;
  };
  for (let sentBytes = 0; sentBytes < hugeBytes && !response.destroyed; sentBytes += piece.length) {
    if (sentBytes <= answerBytesMax) enoughMs = now();
    if (!response.write(piece, taken)) await Promise.race([once(response, 'drain').catch(() => {}), closed]);
  }
  return takenBytes > answerBytesMax ? enoughMs : null;
}
