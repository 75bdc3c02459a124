import type { IncomingMessage } from 'node:http';
import { isEventFormat } from '../../event/media-type.ts';
import { type SigningKeys, signingKey, signingSecretRule } from '../../event/standard-webhooks.ts';
import { type Secrets, unknownSecret } from '../../runtime/secrets.ts';
import { Refusal } from './problem.ts';
import { toleranceDefaultMs, verify } from './webhook/verify.ts';

/** Verifies requests to brokers that take only signed ones (`posthorn.dev/verify-with`). */
export class ProducerSignatures {
  readonly #secrets: Secrets;
  readonly #keys = new Map<string, SigningKeys>();

  constructor(secrets: Secrets) {
    this.#secrets = secrets;
  }

  /**
   * @param name of the secret
   * @param nowMs milliseconds since 1970
   * @throws Refusal: 401 where the signature is not right, 415 for binary mode, 503 where there is no such secret
   */
  verify(name: string, { headers }: IncomingMessage, body: Buffer, nowMs: number): void {
    const keys = this.#keysOf(name);
    verify({ scheme: 'standard-webhooks', keys, toleranceMs: toleranceDefaultMs }, headers, body, nowMs);
    if (isEventFormat(headers['content-type'] ?? '')) return;
    const detail =
      'the attributes of a binary event are headers, which its signature leaves out: sign events in structured mode, ' +
      'with content-type application/cloudevents+json, or a batch';
    throw new Refusal(415, 'unsupported_media_type', detail);
  }

  #keysOf(name: string): SigningKeys {
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const secret = this.#secrets.get(name);
    const keys = secret?.reveal().flatMap((text) => signingKey(text) ?? []) ?? [];
    if (secret === undefined || keys.length < secret.reveal().length) {
      const problem = secret === undefined ? unknownSecret(name, this.#secrets) : signingSecretRule;
      const detail = `posthorn.dev/verify-with of the broker names the secret ${name}, which can't be used: ${problem}`;
      throw new Refusal(503, 'unauthorized', detail, { headers: { 'retry-after': '30' } });
    }
    this.#keys.set(name, keys);
    return keys;
  }
}
