import { Agent, type Dispatcher } from 'undici';
import type { CloudEvent } from '../event/event.ts';
import { hopsAttribute } from '../event/hops.ts';
import { encodeBinary, encodeStructured } from '../event/http.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { guardedLookup, RefusedAddressError, refusalOf } from './address.ts';
import { type Delivery, type Outcome, RevokedError } from './fate.ts';

/** One attempt over HTTP. */
export interface Deliverer {
  /**
   * POSTs the event and resolves with what came of it, at the latest when the policy's timeout has passed. Rejects
   * only with the reason of `cut`, or with RevokedError: the attempt then counts for nothing.
   *
   * @param hops what the event's hop count is in this delivery
   * @param isRevoked asked by `cutRevoked`; absent: it never cuts this one
   */
  attempt(delivery: Delivery, url: string, hops: number, isRevoked?: () => boolean): Promise<Outcome>;
  /** Cuts the attempts that are revoked by now. */
  cutRevoked(): void;
  /** Cuts what is in flight and refuses what comes later. */
  cut(reason: Error): void;
  /** Closes the connections. Idempotent. */
  close(): Promise<void>;
}

export interface DelivererOptions {
  readonly clock: Clock;
  /** An answer's body is read up to this many bytes; then the connection is cut. */
  readonly responseBytesMax: number;
}

/** undici's own timeouts are accurate to half a second only: they stand behind our deadline in case it fails. */
const backstopMs = 5_000;
/** Sockets to one origin: more than any trigger's requests in flight, so the trigger's limit is what binds. */
const connectionsMax = 10_000;
/** An answer's header section, in bytes. More than any reply's attributes (16 KiB), percent-encoded, need. */
const answerHeaderBytesMax = 65_536;

export function createDeliverer({ clock, responseBytesMax }: DelivererOptions): Deliverer {
  const agent = new Agent({
    connections: connectionsMax,
    pipelining: 1,
    maxHeaderSize: answerHeaderBytesMax,
    connect: { lookup: guardedLookup },
  });
  const inFlight = new Set<AnswerHandler>();
  let cutReason: Error | undefined;
  return {
    attempt(delivery, url, hops, isRevoked) {
      if (cutReason) return Promise.reject(cutReason);
      const target = new URL(url);
      const refusal = refusalOf(target);
      if (refusal) return Promise.resolve(unanswered(refusal));
      const { headers, body } = encode(delivery, hops);
      const { timeoutMs } = delivery.trigger.delivery;
      return new Promise<Outcome>((resolve, reject) => {
        const onEnd = (): unknown => inFlight.delete(handler);
        const options = { clock, timeoutMs, responseBytesMax, resolve, reject, onEnd, isRevoked: isRevoked ?? never };
        const handler = new AnswerHandler(options);
        inFlight.add(handler);
        agent.dispatch(
          {
            origin: target.origin,
            path: target.pathname + target.search,
            method: 'POST',
            headers,
            body,
            headersTimeout: timeoutMs + backstopMs,
            bodyTimeout: timeoutMs + backstopMs,
          },
          handler,
        );
      });
    },
    cutRevoked() {
      for (const handler of inFlight) if (handler.isRevoked) handler.abandon(new RevokedError());
    },
    cut(reason) {
      cutReason = reason;
      for (const handler of inFlight) handler.abandon(reason);
    },
    close: () => agent.destroy(),
  };
}

const never = (): boolean => false;

/** The request's headers (flat) and body. */
function encode(delivery: Delivery, hops: number): { headers: string[]; body: Buffer | null } {
  const event: CloudEvent = {
    attributes: { ...delivery.event.attributes, [hopsAttribute]: String(hops) },
    data: delivery.event.data,
  };
  const { headers, body } = delivery.trigger.delivery.format === 'json' ? encodeStructured(event) : encodeBinary(event);
  headers.push(
    'prefer',
    'reply',
    'posthorn-trigger',
    `${delivery.trigger.namespace}/${delivery.trigger.name}`,
    'posthorn-attempt',
    String(delivery.attempt),
    'user-agent',
    'posthorn',
  );
  pushTrace(headers, delivery);
  return { headers, body };
}

/** W3C Trace Context: the event's own (CloudEvents distributed tracing), or what came beside it. */
function pushTrace(headers: string[], { event, trace }: Delivery): void {
  const { traceparent, tracestate } = event.attributes.traceparent === undefined ? trace : event.attributes;
  // A producer may have put anything there; a header that can't be sent would fail every attempt.
  if (traceparent === undefined || !traceparentPattern.test(traceparent)) return;
  headers.push('traceparent', traceparent);
  if (tracestate !== undefined && tracestatePattern.test(tracestate)) headers.push('tracestate', tracestate);
}

const traceparentPattern = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[\x21-\x7e]*)?$/;
const tracestatePattern = /^[\x20-\x7e]{1,8192}$/;

interface AnswerOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly responseBytesMax: number;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (reason: unknown) => void;
  readonly onEnd: () => void;
  readonly isRevoked: () => boolean;
}

/** Collects one answer: undici calls it, and it settles its promise once. */
class AnswerHandler implements Dispatcher.DispatchHandler {
  readonly #options: AnswerOptions;
  readonly #deadline: Timer;
  #controller: Dispatcher.DispatchController | undefined;
  #cut: Error | undefined;
  #settled = false;
  #status = 0;
  #headers: string[] = [];
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(options: AnswerOptions) {
    this.#options = options;
    const timedOut = `no complete answer within ${options.timeoutMs} ms`;
    this.#deadline = options.clock.setTimer(
      () => this.#end({ kind: 'unanswered', cause: 'timeout', message: timedOut }, new Error(timedOut)),
      options.timeoutMs,
    );
  }

  get isRevoked(): boolean {
    return this.#options.isRevoked();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#cut) controller.abort(this.#cut);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return;
    this.#status = status;
    this.#headers = flatHeaders(controller.rawHeaders);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const room = this.#options.responseBytesMax - this.#bytes;
    this.#bytes += chunk.length;
    if (chunk.length <= room) {
      this.#chunks.push(chunk);
      return;
    }
    this.#chunks.push(chunk.subarray(0, room));
    this.#end(this.#answer(true), new Error(`answer longer than ${this.#options.responseBytesMax} bytes`));
  }

  onResponseEnd(): void {
    this.#end(this.#answer(false));
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#end(unanswered(error));
  }

  #answer(truncated: boolean): Outcome {
    const body = this.#chunks.length === 1 ? (this.#chunks[0] ?? empty) : Buffer.concat(this.#chunks);
    return { kind: 'answered', status: this.#status, headers: this.#headers, body, truncated };
  }

  #end(outcome: Outcome, cut?: Error): void {
    if (!this.#finish(cut)) return;
    this.#options.resolve(outcome);
  }

  /** The attempt counts for nothing. */
  abandon(reason: Error): void {
    if (this.#finish(reason)) this.#options.reject(reason);
  }

  /** True the first time. */
  #finish(cut: Error | undefined): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#deadline.cancel();
    this.#options.onEnd();
    this.#cut = cut;
    if (cut) this.#controller?.abort(cut);
    return true;
  }
}

const empty = Buffer.alloc(0);

function unanswered(error: Error): Outcome {
  if (error instanceof RefusedAddressError) return { kind: 'unanswered', cause: 'address', message: error.message };
  const code = 'code' in error ? String(error.code) : '';
  const isProtocol = error.name === 'HTTPParserError' || code.startsWith('HPE_') || code === 'UND_ERR_HEADERS_OVERFLOW';
  const isTimeout = code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT';
  const cause = isProtocol ? 'protocol' : isTimeout ? 'timeout' : 'connection';
  return { kind: 'unanswered', cause, message: error.message || code || error.name };
}

function flatHeaders(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  const flat: string[] = [];
  if (!Array.isArray(raw)) return flat;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    flat.push(latin1(raw[i]).toLowerCase(), latin1(raw[i + 1]));
  }
  return flat;
}

function latin1(value: Buffer | string | undefined): string {
  return typeof value === 'string' ? value : (value?.toString('latin1') ?? '');
}
