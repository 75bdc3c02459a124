import type { Trigger } from '../broker/trigger/trigger.ts';
import { withAttributes } from '../event/event.ts';
import { hopsAttribute } from '../event/hops.ts';
import { encodeBinary, encodeStructured } from '../event/http.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { noSecrets } from '../runtime/secrets.ts';
import { Slots } from '../runtime/slots.ts';
import { guardedLookup, RefusedAddressError, refusalOf } from './address.ts';
import { type Batch, headersOf } from './batch/body.ts';
import { type Delivery, type Outcome, RevokedError } from './fate.ts';
import { AnswerError } from './http1/answer-parser.ts';
import type { Carrier, Exchange } from './http1/connection.ts';
import { Connections } from './http1/connections.ts';
import { SecureConnections } from './http1/secure-connections.ts';
import { batchId, messageId, Signers } from './sign.ts';
import { traceHeadersOf } from './trace.ts';

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
  /** The same for the events of a batch, in one request. */
  attemptBatch(batch: Batch, url: string, isRevoked?: () => boolean): Promise<Outcome>;
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
  /** Absent: there is no secret to sign with. */
  readonly signers?: Signers;
}

/** An answer's header section, in bytes. More than any reply's attributes (16 KiB), percent-encoded, need. */
const answerHeaderBytesMax = 65_536;

export function createDeliverer({
  clock,
  responseBytesMax,
  signers = new Signers(noSecrets),
}: DelivererOptions): Deliverer {
  const plain = new Connections({ clock, lookup: guardedLookup, headBytesMax: answerHeaderBytesMax });
  const secure = new SecureConnections({ lookup: guardedLookup, headBytesMax: answerHeaderBytesMax });
  const targets = new Targets();
  const inFlight = new Slots<AnswerHandler>();
  let cutReason: Error | undefined;
  const post = (
    target: URL,
    headers: string[],
    body: Buffer | null,
    timeoutMs: number,
    isRevoked: () => boolean,
  ): Promise<Outcome> =>
    new Promise((resolve, reject) => {
      const onEnd = (): unknown => inFlight.take(slot);
      const options = { clock, timeoutMs, responseBytesMax, resolve, reject, onEnd, isRevoked };
      const handler = new AnswerHandler(options);
      const slot = inFlight.add(handler);
      const connections = target.protocol === 'https:' ? secure : plain;
      handler.carriedBy(connections.post(target, headers, body, handler));
    });
  return {
    attempt(delivery, url, hops, isRevoked = never) {
      if (cutReason) return Promise.reject(cutReason);
      const { target, refusal } = targets.of(url);
      if (refusal) return Promise.resolve(unanswered(refusal));
      const { signWith } = delivery.trigger;
      const { headers, body } = encode(delivery, hops);
      if (signWith !== null) {
        headers.push(...signers.headers(signWith, messageId(delivery), body ?? empty, clock.now()));
      }
      return post(target, headers, body, delivery.trigger.delivery.timeoutMs, isRevoked);
    },
    attemptBatch(batch, url, isRevoked = never) {
      if (cutReason) return Promise.reject(cutReason);
      const { target, refusal } = targets.of(url);
      if (refusal) return Promise.resolve(unanswered(refusal));
      const { signWith, delivery } = batch.deliveries[0].trigger;
      const headers = headersOf(batch);
      if (signWith !== null) headers.push(...signers.headers(signWith, batchId(batch), batch.body, clock.now()));
      return post(target, headers, batch.body, delivery.timeoutMs, isRevoked);
    },
    cutRevoked() {
      for (const handler of inFlight.values()) if (handler.isRevoked) handler.abandon(new RevokedError());
    },
    cut(reason) {
      cutReason = reason;
      for (const handler of inFlight.values()) handler.abandon(reason);
    },
    close() {
      plain.close(new Error('Posthorn ends'));
      return secure.close();
    },
  };
}

interface Target {
  readonly target: URL;
  readonly refusal: RefusedAddressError | undefined;
}

/** URLs taken apart once, and not for each delivery. */
class Targets {
  readonly #targets = new Map<string, Target>();

  of(url: string): Target {
    let known = this.#targets.get(url);
    if (!known) {
      const target = new URL(url);
      known = { target, refusal: refusalOf(target) };
      if (this.#targets.size >= targetsMax) this.#targets.clear();
      this.#targets.set(url, known);
    }
    return known;
  }
}

/** More subscribers than one process calls; what the triggers of other days have left is forgotten. */
const targetsMax = 20_000;

const never = (): boolean => false;

/** Of a binary event the attributes are headers, which a signature would leave out. */
function isStructured({ delivery, signWith }: Trigger): boolean {
  return delivery.format === 'json' || signWith !== null;
}

/** The request's headers (flat) and body. */
function encode(delivery: Delivery, hops: number): { headers: string[]; body: Buffer | null } {
  const { event, trigger } = delivery;
  const added = { [hopsAttribute]: String(hops) };
  const { headers, body } = isStructured(trigger)
    ? encodeStructured(withAttributes(event, added))
    : encodeBinary(event, added);
  // Knative data plane, Derived (Reply) Events: only who processes replies asks for them.
  if (delivery.target.kind === 'subscriber') headers.push('prefer', 'reply');
  headers.push(
    'posthorn-trigger',
    `${trigger.namespace}/${trigger.name}`,
    'posthorn-attempt',
    String(delivery.attempt),
    'user-agent',
    'posthorn',
  );
  const trace = traceHeadersOf(delivery);
  for (const name in trace) headers.push(name, trace[name] ?? '');
  return { headers, body };
}

interface AnswerOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly responseBytesMax: number;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (reason: unknown) => void;
  readonly onEnd: () => void;
  readonly isRevoked: () => boolean;
}

/** Collects one answer, and settles its promise once. */
class AnswerHandler implements Exchange {
  readonly #options: AnswerOptions;
  readonly #deadline: Timer;
  #carrier: Carrier | undefined;
  #settled = false;
  #status = 0;
  #headers: string[] = [];
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(options: AnswerOptions) {
    this.#options = options;
    this.#deadline = options.clock.setTimer(() => this.#timedOut(), options.timeoutMs);
  }

  get isRevoked(): boolean {
    return this.#options.isRevoked();
  }

  /** What carries the exchange, to be told if it is given up. */
  carriedBy(carrier: Carrier): void {
    if (!this.#settled) this.#carrier = carrier;
  }

  onHead(status: number, headers: string[]): void {
    this.#status = status;
    this.#headers = headers;
  }

  onData(chunk: Buffer): void {
    const room = this.#options.responseBytesMax - this.#bytes;
    this.#bytes += chunk.length;
    // A copy: the chunk's memory is used again.
    this.#chunks.push(Buffer.from(chunk.length <= room ? chunk : chunk.subarray(0, room)));
    if (chunk.length <= room) return;
    this.#end(this.#answer(true), new Error(`answer longer than ${this.#options.responseBytesMax} bytes`));
  }

  onEnd(): void {
    this.#end(this.#answer(false));
  }

  onError(error: Error): void {
    this.#end(unanswered(error));
  }

  #timedOut(): void {
    const message = `no complete answer within ${this.#options.timeoutMs} ms`;
    this.#end({ kind: 'unanswered', cause: 'timeout', message }, new Error(message));
  }

  #answer(truncated: boolean): Outcome {
    const body = this.#chunks.length > 1 ? Buffer.concat(this.#chunks) : (this.#chunks[0] ?? empty);
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
    if (cut) this.#carrier?.abort(this, cut);
    return true;
  }
}

const empty = Buffer.alloc(0);

function unanswered(error: Error): Outcome {
  if (error instanceof RefusedAddressError) return { kind: 'unanswered', cause: 'address', message: error.message };
  const code = 'code' in error ? String(error.code) : '';
  const cause = error instanceof AnswerError ? 'protocol' : 'connection';
  return { kind: 'unanswered', cause, message: error.message || code || error.name };
}
