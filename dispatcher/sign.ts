import { createHash } from 'node:crypto';
import { type SigningKeys, signatureOf, signingKey, signingSecretRule } from '../event/standard-webhooks.ts';
import { type Secrets, unknownSecret } from '../runtime/secrets.ts';
import type { Batch } from './batch/body.ts';
import type { Delivery } from './fate.ts';

/** Signs deliveries as Standard Webhooks 1.0 has it. */
export class Signers {
  readonly #secrets: Secrets;
  readonly #keys = new Map<string, SigningKeys>();

  constructor(secrets: Secrets) {
    this.#secrets = secrets;
    for (const [name, secret] of secrets) {
      const keys = secret.reveal().map(signingKey);
      const usable = keys.filter((key) => key !== null);
      if (usable.length === keys.length) this.#keys.set(name, usable);
    }
  }

  /** Why nothing can be signed with the secret of that name; null: it can. */
  problemOf(name: string): string | null {
    if (this.#keys.has(name)) return null;
    if (!this.#secrets.has(name)) return unknownSecret(name, this.#secrets);
    return `the secret ${name} can't be used: ${signingSecretRule}`;
  }

  /**
   * The headers of a signed request, flat.
   * @param id of the message, from `messageId` or `batchId`
   * @param nowMs when the attempt begins, milliseconds since 1970
   * @throws Error if there is no such key: nothing is ever sent without its signature
   */
  headers(name: string, id: string, body: Buffer, nowMs: number): string[] {
    const keys = this.#keys.get(name);
    if (keys === undefined) throw new Error(this.problemOf(name) ?? '');
    const timestamp = Math.floor(nowMs / 1_000);
    return [
      ...['webhook-id', id, 'webhook-timestamp', String(timestamp)],
      ...['webhook-signature', signatureOf(keys, id, timestamp, body)],
    ];
  }
}

/** Of a delivery: the same in each attempt, and another for another trigger. */
export function messageId({ event, trigger, target }: Delivery): string {
  const { source, id } = event.attributes;
  return idOf([trigger.uid, target.kind, source, id]);
}

/** Of a batch: the same for the same events in the same order. Retries may come in other batches than before. */
export function batchId({ deliveries }: Pick<Batch, 'deliveries'>): string {
  const events = deliveries.map(({ event: { attributes } }) => [attributes.source, attributes.id]);
  return idOf([deliveries[0].trigger.uid, 'batch', events]);
}

/**
 * An event is named by its source and id. Of these a hash, since the id of a message may have no full stop, and a
 * header not any character.
 */
function idOf(parts: readonly unknown[]): string {
  return `msg_${createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 27)}`;
}
