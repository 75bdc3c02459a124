import type { Dispatcher } from 'undici';
import { type Clock, sleep } from '../../runtime/clock.ts';
import { codeOf, whyUnreachable } from '../unreachable.ts';

/** An event to send, as an HTTP message. */
export interface Outgoing {
  /** Where it comes from, for the summary: `line 3`. */
  readonly where: string;
  /** Flat: name, value, name, value. */
  readonly headers: string[];
  readonly body: Buffer | null;
}

export type Posted =
  | { readonly kind: 'accepted' }
  /** This event was refused; others may fare better. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** No event will fare better: the server is gone, or the address is wrong. */
  | { readonly kind: 'hopeless'; readonly reason: string }
  /** As hopeless: there never was a server. */
  | { readonly kind: 'absent'; readonly reason: string };

/** What the requests of one sending know of the server. */
export interface ServerSeen {
  /** Whether any request ever got a connection. */
  connected: boolean;
}

export interface PostOptions {
  readonly pool: Dispatcher;
  readonly path: string;
  readonly server: ServerSeen;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called before each wait for another attempt. */
  readonly onRetry: (reason: string) => void;
}

/**
 * Attempts an event, the first included. The waits between them are 0.25, 0.5, 1, 2, 4, 8 and 8 s, or what Retry-After
 * says: a server that is restarted is back within them.
 */
const attemptsMax = 8;
const firstDelayMs = 250;
const delayMaxMs = 8_000;
const retryAfterMaxMs = 60_000;

/** Where nobody ever listened nobody is waited for, unless it is just being started: attempts at 0, 250 and 750 ms. */
const firstConnectionMs = 1_000;

/** Answers that may be other ones a little later. */
const passing = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Answers that speak of the request's address or sender, not of the event. */
const misdirected = new Set([301, 302, 307, 308, 401, 403, 404, 405, 407]);

/** Errors of a connection that had been made; without one comes any other. */
const brokenConnection = new Set([
  'UND_ERR_SOCKET',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ECONNRESET',
  'EPIPE',
]);

const answerTimeoutMs = 30_000;

/** Posts one event, again where that may help. A repeated event may arrive twice. Never rejects. */
export async function post(event: Outgoing, options: PostOptions): Promise<Posted> {
  const { server, clock, signal } = options;
  const startMs = clock.monotonic();
  for (let attempt = 1; ; attempt++) {
    const { reason, retryAfterMs, final } = await attemptOnce(event, options);
    if (final) return final;
    if (attempt === attemptsMax || signal.aborted) return { kind: 'hopeless', reason };
    const backoffMs = Math.min(delayMaxMs, firstDelayMs * 2 ** (attempt - 1));
    const delayMs = Math.max(backoffMs, Math.min(retryAfterMs, retryAfterMaxMs));
    if (server.connected) options.onRetry(reason);
    else if (clock.monotonic() + delayMs > startMs + firstConnectionMs) return { kind: 'absent', reason };
    await sleep(clock, delayMs, signal);
  }
}

interface Attempt {
  /** Absent: it is worth another attempt. */
  readonly final?: Posted;
  readonly reason: string;
  readonly retryAfterMs: number;
}

async function attemptOnce({ headers, body }: Outgoing, { pool, path, server, clock }: PostOptions): Promise<Attempt> {
  let status: number;
  let retryAfter: string | string[] | undefined;
  let text: string;
  try {
    const response = await pool.request({
      method: 'POST',
      path,
      headers,
      body,
      headersTimeout: answerTimeoutMs,
      bodyTimeout: answerTimeoutMs,
    });
    server.connected = true;
    status = response.statusCode;
    retryAfter = response.headers['retry-after'];
    text = await response.body.text();
  } catch (error) {
    if (brokenConnection.has(codeOf(error) ?? '')) server.connected = true;
    return { reason: whyUnreachable(error), retryAfterMs: 0 };
  }
  if (status >= 200 && status < 300) return { reason: '', retryAfterMs: 0, final: { kind: 'accepted' } };
  const reason = `${status} ${explanation(text)}`.trimEnd();
  if (passing.has(status)) return { reason, retryAfterMs: delayOf(retryAfter, clock.now()) };
  return { reason, retryAfterMs: 0, final: { kind: misdirected.has(status) ? 'hopeless' : 'refused', reason } };
}

/** What an answer's problem document (RFC 9457) says, or its text. */
function explanation(text: string): string {
  try {
    const problem: unknown = JSON.parse(text);
    if (typeof problem === 'object' && problem !== null) {
      if ('detail' in problem && typeof problem.detail === 'string') return problem.detail;
      if ('title' in problem && typeof problem.title === 'string') return problem.title;
    }
  } catch {
    // Not JSON: the text itself.
  }
  return (text.split('\n', 1)[0] ?? '').slice(0, 200);
}

/** Retry-After (RFC 9110 section 10.2.3) in milliseconds; 0 where there is none. */
function delayOf(retryAfter: string | string[] | undefined, nowMs: number): number {
  if (typeof retryAfter !== 'string') return 0;
  if (/^\d+$/.test(retryAfter)) return Number(retryAfter) * 1_000;
  const atMs = Date.parse(retryAfter);
  return Number.isNaN(atMs) ? 0 : Math.max(0, atMs - nowMs);
}
