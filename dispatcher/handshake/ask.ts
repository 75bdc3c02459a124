import { Agent, request } from 'undici';
import type { AttemptRate } from '../../broker/trigger/trigger.ts';
import type { Clock } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/errors.ts';
import { guardedLookup, refusalOf } from '../address.ts';

/** What is said in a validation request (CloudEvents HTTP webhooks 1.0.2, section 4.1). */
export interface Question {
  /** WebHook-Request-Origin: a DNS name that stands for this sender. */
  readonly origin: string;
  /** WebHook-Request-Rate, a minute; null: none is asked for. */
  readonly perMinute: number | null;
  /** WebHook-Request-Callback: where permission may be given later; null: nowhere. */
  readonly callback: string | null;
}

export type Permission =
  | { readonly kind: 'granted'; readonly rate: AttemptRate | null }
  | { readonly kind: 'refused'; readonly why: string };

/** Asks subscribers for their permission. */
export class Asker {
  readonly #clock: Clock;
  readonly #agent = new Agent({ connect: { lookup: guardedLookup } });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Never rejects: whoever does not answer has not allowed anything. */
  async ask(url: string, question: Question, timeoutMs: number, signal: AbortSignal): Promise<Permission> {
    const refusal = refusalOf(new URL(url));
    if (refusal !== undefined) return { kind: 'refused', why: refusal.message };
    const late = new AbortController();
    const timer = this.#clock.setTimer(() => late.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    try {
      const { headers, body } = await request(url, {
        method: 'OPTIONS',
        headers: headersOf(question),
        dispatcher: this.#agent,
        signal: AbortSignal.any([signal, late.signal]),
      });
      await body.dump();
      return permissionIn(headers, question);
    } catch (error) {
      return { kind: 'refused', why: messageOf(error) };
    } finally {
      timer.cancel();
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

function headersOf({ origin, perMinute, callback }: Question): Record<string, string> {
  return {
    'webhook-request-origin': origin,
    ...(perMinute !== null && { 'webhook-request-rate': String(perMinute) }),
    ...(callback !== null && { 'webhook-request-callback': callback }),
    'user-agent': 'posthorn',
  };
}

/** The answer is in its headers alone (section 4.2): whatever answers OPTIONS otherwise has not consented. */
function permissionIn(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  question: Question,
): Permission {
  const origin = headers['webhook-allowed-origin'];
  if (origin === undefined) return { kind: 'refused', why: 'its answer has no WebHook-Allowed-Origin' };
  if (origin !== '*' && String(origin).toLowerCase() !== question.origin.toLowerCase()) {
    return {
      kind: 'refused',
      why: `its WebHook-Allowed-Origin is ${JSON.stringify(origin)}, not ${question.origin} or *`,
    };
  }
  const rate = headers['webhook-allowed-rate'];
  const allowed = rate === undefined ? null : readRate(String(rate));
  if (allowed !== undefined) return { kind: 'granted', rate: allowed };
  return { kind: 'refused', why: `its WebHook-Allowed-Rate is ${JSON.stringify(rate)}, not a number above 0 or *` };
}

/** The value of WebHook-Allowed-Rate: requests a minute, or `*` for no bound (null); undefined: neither. */
export function readRate(text: string): AttemptRate | null | undefined {
  if (text === '*') return null;
  const attempts = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return attempts > 0 ? { attempts, perMs: 60_000 } : undefined;
}

/** The value of WebHook-Request-Rate for a trigger; a rate below one a minute can't be said. */
export function perMinuteOf({ attempts, perMs }: AttemptRate): number {
  return Math.max(1, Math.floor((attempts * 60_000) / perMs));
}
