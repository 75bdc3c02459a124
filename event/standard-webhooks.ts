import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';

/** Who signs with both keys of a rotation, and whoever verifies takes either, needs no moment at which both change. */
export type SigningKeys = readonly KeyObject[];

/** Key lengths of Standard Webhooks ("Symmetric signatures"), in bytes. */
const keyBytesMin = 24;
const keyBytesMax = 64;

/** How to make one, for messages. */
export const signingSecretRule =
  'a secret of Standard Webhooks is whsec_ and 24 to 64 bytes in base64, as made by: echo "whsec_$(openssl rand -base64 32)"';

/** The key of a secret `whsec_BASE64`; null if it is none. */
export function signingKey(secret: string): KeyObject | null {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1];
  if (base64 === undefined) return null;
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('base64').replace(/=+$/, '') !== base64.replace(/=+$/, '')) return null;
  return bytes.length < keyBytesMin || bytes.length > keyBytesMax ? null : createSecretKey(bytes);
}

/**
 * The value of `webhook-signature` (Standard Webhooks 1.0, "Signature scheme"): one signature a key.
 * @param id of the message, the same in each attempt; it has no full stop
 * @param timestamp of the attempt, in seconds since 1970
 */
export function signatureOf(keys: SigningKeys, id: string, timestamp: number, body: Buffer): string {
  return keys.map((key) => `v1,${digest(key, id, String(timestamp), body).toString('base64')}`).join(' ');
}

export interface SignedRequest {
  readonly id: string | undefined;
  readonly timestamp: string | undefined;
  readonly signature: string | undefined;
  readonly body: Buffer;
}

/**
 * Verifies a request that is signed by Standard Webhooks, in time that does not depend on the signature.
 * @param nowMs milliseconds since 1970
 * @param toleranceMs how far the timestamp may be off, either way
 * @returns what is wrong, in words that end "the request is refused: …"; null: nothing
 */
export function problemOf(
  { id, timestamp, signature, body }: SignedRequest,
  keys: SigningKeys,
  nowMs: number,
  toleranceMs: number,
): string | null {
  if (id === undefined || timestamp === undefined || signature === undefined) {
    return 'it needs the headers webhook-id, webhook-timestamp and webhook-signature (Standard Webhooks)';
  }
  const isTime = /^\d{1,12}$/.test(timestamp);
  if (!isTime) return 'its webhook-timestamp is not a number of seconds since 1970';
  const problem = timeProblem(Number(timestamp) * 1_000, nowMs, toleranceMs);
  if (problem !== null) return `its webhook-timestamp ${problem}`;
  const given = signature
    .split(' ')
    .flatMap((one) => (one.startsWith('v1,') ? [Buffer.from(one.slice(3), 'base64')] : []));
  return matchesAny(
    given,
    keys.map((key) => digest(key, id, timestamp, body)),
  )
    ? null
    : 'no signature of its webhook-signature is right: the secret is another, or the body was changed on the way';
}

/** What is wrong with a time that is to be about now; null: nothing. */
export function timeProblem(timeMs: number, nowMs: number, toleranceMs: number): string | null {
  if (Math.abs(nowMs - timeMs) <= toleranceMs) return null;
  const seconds = Math.round(Math.abs(nowMs - timeMs) / 1_000);
  return `is ${seconds} s ${timeMs < nowMs ? 'old' : 'ahead'}, at most ${toleranceMs / 1_000} s are taken: it is sent again, or a clock is wrong`;
}

/** Whether one of the digests was given. All are compared, each in constant time. */
export function matchesAny(given: readonly Buffer[], digests: readonly Buffer[]): boolean {
  let isFound = false;
  for (const one of given.slice(0, givenMax)) {
    for (const wanted of digests) if (one.length === wanted.length && timingSafeEqual(one, wanted)) isFound = true;
  }
  return isFound;
}

/** Two of a rotation are usual. */
const givenMax = 16;

function digest(key: KeyObject, id: string, timestamp: string, body: Buffer): Buffer {
  return createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
}
