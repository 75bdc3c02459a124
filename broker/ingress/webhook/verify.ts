import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { matchesAny, problemOf, type SigningKeys, timeProblem } from '../../../event/standard-webhooks.ts';
import { Refusal } from '../problem.ts';

/** How the sender of a webhook proves that it is who it says. */
export type Verification =
  | { readonly scheme: 'none' }
  | {
      /** An HMAC in a header of its own, as GitHub, Shopify and Slack have it. */
      readonly scheme: 'hmac';
      readonly keys: SigningKeys;
      /** Where the signature is; all names of headers in lower case. */
      readonly header: string;
      /** What stands before it. */
      readonly prefix: string;
      readonly algorithm: 'sha1' | 'sha256' | 'sha512';
      readonly encoding: 'hex' | 'base64';
      /** What is signed: texts, values of headers, and the body. */
      readonly signed: readonly SignedPart[];
      /** The header with the seconds since 1970 at which it was sent; null: it is not said. */
      readonly timestampHeader: string | null;
      readonly toleranceMs: number;
    }
  | {
      /** `t=TIME,v1=HEX,v1=HEX` over `TIME.BODY`, as Stripe has it. */
      readonly scheme: 'stripe';
      readonly keys: SigningKeys;
      readonly header: string;
      readonly toleranceMs: number;
    }
  | { readonly scheme: 'standard-webhooks'; readonly keys: SigningKeys; readonly toleranceMs: number };

/** A text, the value of a header, or the body (null). */
export type SignedPart = string | { readonly header: string } | null;

/** A clock that is off, and a sender that tries again for a moment, are within it; who replays later is not. */
export const toleranceDefaultMs = 300_000;

/** The key of a secret whose text is the key itself. */
export function textKey(secret: string): KeyObject {
  return createSecretKey(Buffer.from(secret));
}

/**
 * Checks who sent the request. Signatures are compared in constant time.
 * @param nowMs milliseconds since 1970
 * @throws Refusal (401)
 */
export function verify(verification: Verification, headers: IncomingHttpHeaders, body: Buffer, nowMs: number): void {
  const problem = problemIn(verification, headers, body, nowMs);
  if (problem !== null) throw new Refusal(401, 'unauthorized', `the request is refused: ${problem}`);
}

function problemIn(
  verification: Verification,
  headers: IncomingHttpHeaders,
  body: Buffer,
  nowMs: number,
): string | null {
  switch (verification.scheme) {
    case 'none':
      return null;
    case 'hmac':
      return hmacProblem(verification, headers, body, nowMs);
    case 'stripe':
      return stripeProblem(verification, headers, body, nowMs);
    case 'standard-webhooks': {
      const { keys, toleranceMs } = verification;
      return problemOf({ ...standardHeaders(headers), body }, keys, nowMs, toleranceMs);
    }
  }
}

/** The headers of Standard Webhooks. */
export function standardHeaders(headers: IncomingHttpHeaders) {
  return {
    id: textOf(headers, 'webhook-id'),
    timestamp: textOf(headers, 'webhook-timestamp'),
    signature: textOf(headers, 'webhook-signature'),
  };
}

function hmacProblem(
  {
    header,
    prefix,
    keys,
    algorithm,
    encoding,
    signed,
    timestampHeader,
    toleranceMs,
  }: Extract<Verification, { scheme: 'hmac' }>,
  headers: IncomingHttpHeaders,
  body: Buffer,
  nowMs: number,
): string | null {
  const value = textOf(headers, header);
  if (value === undefined) return `it has no header ${header} with its signature`;
  if (!value.startsWith(prefix)) return `its header ${header} does not begin with ${prefix}`;
  if (timestampHeader !== null) {
    const problem = headerTimeProblem(textOf(headers, timestampHeader), timestampHeader, nowMs, toleranceMs);
    if (problem !== null) return problem;
  }
  const parts: (string | Buffer)[] = [];
  for (const part of signed) {
    if (part === null || typeof part === 'string') parts.push(part ?? body);
    else {
      const text = textOf(headers, part.header);
      if (text === undefined) return `it has no header ${part.header}, which is signed too`;
      parts.push(text);
    }
  }
  const given = Buffer.from(value.slice(prefix.length), encoding);
  return matchesAny(
    [given],
    keys.map((key) => digest(key, algorithm, parts)),
  )
    ? null
    : wrongSignature(header);
}

function stripeProblem(
  { header, keys, toleranceMs }: Extract<Verification, { scheme: 'stripe' }>,
  headers: IncomingHttpHeaders,
  body: Buffer,
  nowMs: number,
): string | null {
  const value = textOf(headers, header);
  if (value === undefined) return `it has no header ${header} with its signature`;
  const items = value.split(',').map((item) => item.trim().split('=', 2));
  const time = items.find(([name]) => name === 't')?.[1];
  const problem = headerTimeProblem(time, `${header} (t=)`, nowMs, toleranceMs);
  if (problem !== null) return problem;
  const given = items.flatMap(([name, hex = '']) => (name === 'v1' ? [Buffer.from(hex, 'hex')] : []));
  return matchesAny(
    given,
    keys.map((key) => digest(key, 'sha256', [`${time}.`, body])),
  )
    ? null
    : wrongSignature(header);
}

function headerTimeProblem(time: string | undefined, where: string, nowMs: number, toleranceMs: number): string | null {
  if (time === undefined || !/^\d{1,12}$/.test(time)) return `it needs ${where} with the seconds since 1970`;
  const problem = timeProblem(Number(time) * 1_000, nowMs, toleranceMs);
  return problem === null ? null : `its time in ${where} ${problem}`;
}

function wrongSignature(header: string): string {
  return `its signature in ${header} is not right: the secret is another, or the body was changed on the way`;
}

function digest(key: KeyObject, algorithm: string, parts: readonly (string | Buffer)[]): Buffer {
  const hmac = createHmac(algorithm, key);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

/** A header that came more than once is not taken for either. */
function textOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : undefined;
}
