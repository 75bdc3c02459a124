import { randomBytes } from 'node:crypto';
import type { AttemptRate } from '../../broker/trigger/trigger.ts';
import { readRate } from './ask.ts';

/** Where callbacks are answered, by GET and by POST, at the ingress. */
export const callbackPath = '/webhook-callback';

/**
 * Permissions that are given later, by a call of the URL that the subscriber was told (CloudEvents HTTP webhooks 1.0.2,
 * section 4.1.2). The key in the URL is all that the caller must know, so it can't be guessed and ends with its request.
 */
export class HandshakeCallbacks {
  readonly #base: string | null;
  readonly #waiting = new Map<string, (rate: AttemptRate | null) => void>();

  /** @param base where subscribers reach the ingress of this process, without a slash at the end; null: nowhere */
  constructor(base: string | null) {
    this.#base = base;
  }

  /** The URL for a subscriber; null where there is none. */
  open(granted: (rate: AttemptRate | null) => void): { readonly url: string; close(): void } | null {
    if (this.#base === null) return null;
    const key = randomBytes(24).toString('base64url');
    this.#waiting.set(key, granted);
    return { url: `${this.#base}${callbackPath}?key=${key}`, close: () => void this.#waiting.delete(key) };
  }

  /**
   * Somebody has called.
   * @param rate the WebHook-Allowed-Rate; null: there is none
   */
  called(key: string, rate: string | null): 'granted' | 'unknown' | 'bad rate' {
    const granted = this.#waiting.get(key);
    if (granted === undefined) return 'unknown';
    const allowed = rate === null ? null : readRate(rate);
    if (allowed === undefined) return 'bad rate';
    granted(allowed);
    return 'granted';
  }
}
