import { type SigningKeys, signingKey, signingSecretRule } from '../../../event/standard-webhooks.ts';
import { isSecretName, type Secrets, secretNameRule, unknownSecret } from '../../../runtime/secrets.ts';
import { readDuration } from '../../trigger/manifest-duration.ts';
import { describe, type Field } from '../../trigger/manifest-field.ts';
import type { Provider } from './providers.ts';
import { type SignedPart, textKey, toleranceDefaultMs, type Verification } from './verify.ts';

/** Of each scheme, what `verify` may say beside it. */
export const schemes = {
  none: [],
  hmac: ['header', 'prefix', 'algorithm', 'encoding', 'signed', 'timestampHeader', 'tolerance'],
  stripe: ['header', 'tolerance'],
  'standard-webhooks': ['tolerance'],
} as const;
const schemeNames = Object.keys(schemes) as (keyof typeof schemes)[];

const toleranceMinMs = 1_000;
const toleranceMaxMs = 86_400_000;

/** Reads `verify` and `secret` of a webhook. What it returns counts only if nothing was reported. */
export function readVerification(
  entry: Field,
  provider: Provider | undefined,
  secrets: Secrets,
): Verification | undefined {
  const verify = entry.field('verify').orElse(provider?.verify);
  const schemeField = verify.field('scheme');
  if (!verify.present) {
    return verify.error(
      'missing; must say how its requests are verified, as { scheme: hmac, header: X-Signature }',
      'key',
    );
  }
  if (verify.entries() === undefined) return undefined;
  if (!schemeField.present) return schemeField.error(`missing; must be ${schemeNames.join(' or ')}`, 'key');
  const scheme = schemeField.oneOf(schemeNames);
  if (scheme === undefined) return undefined;
  verify.object(['scheme', ...schemes[scheme]]);
  const secret = entry.field('secret');
  if (scheme === 'none') {
    if (secret.present) secret.error('no effect, since verify says none; leave out one of the two', 'key');
    return { scheme };
  }
  const keys = readKeys(secret, scheme, secrets);
  const toleranceMs = readDuration(verify.field('tolerance'), toleranceMinMs, toleranceMaxMs) ?? toleranceDefaultMs;
  if (keys === undefined) return undefined;
  if (scheme === 'standard-webhooks') return { scheme, keys, toleranceMs };
  if (scheme === 'stripe') {
    return { scheme, keys, toleranceMs, header: readHeader(verify.field('header')) ?? 'stripe-signature' };
  }
  return readHmac(verify, keys, toleranceMs);
}

function readHmac(verify: Field, keys: SigningKeys, toleranceMs: number): Verification | undefined {
  const field = verify.field('header');
  const header = readHeader(field);
  if (!field.present) field.error('missing; must be the header with the signature, as X-Signature', 'key');
  const signed = readSigned(verify.field('signed').orElse('{body}'));
  const timestampHeader = readHeader(verify.field('timestampHeader')) ?? null;
  const isTimeSigned = signed?.some(
    (part) => part !== null && typeof part !== 'string' && part.header === timestampHeader,
  );
  if (timestampHeader !== null && signed !== undefined && !isTimeSigned) {
    verify
      .field('timestampHeader')
      .error(
        `must be signed too, or anybody could change it: name it in signed, as {header:${timestampHeader}}.{body}`,
      );
  }
  if (header === undefined || signed === undefined) return undefined;
  return {
    scheme: 'hmac',
    ...{ keys, header, signed, timestampHeader, toleranceMs },
    prefix: verify.field('prefix').text() ?? '',
    algorithm: verify.field('algorithm').oneOf(['sha1', 'sha256', 'sha512']) ?? 'sha256',
    encoding: verify.field('encoding').oneOf(['hex', 'base64']) ?? 'hex',
  };
}

function readKeys(field: Field, scheme: keyof typeof schemes, secrets: Secrets): SigningKeys | undefined {
  if (!field.present)
    return field.error('missing; must be the name of the secret that its requests are signed with', 'key');
  const name = field.text();
  if (name === undefined) return undefined;
  // Not shown: whoever does not know that a name is wanted writes the secret.
  if (!isSecretName(name)) return field.error(`must be the name of a secret of --secrets: ${secretNameRule}`);
  const secret = secrets.get(name);
  if (secret === undefined) return field.error(unknownSecret(name, secrets));
  const keys = secret.reveal().map(scheme === 'standard-webhooks' ? signingKey : textKey);
  const usable = keys.filter((key) => key !== null);
  return usable.length === keys.length ? usable : field.error(`the secret ${name} can't be used: ${signingSecretRule}`);
}

const headerPattern = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

function readHeader(field: Field): string | undefined {
  const text = field.text();
  if (text === undefined || headerPattern.test(text)) return text?.toLowerCase();
  return field.error(`must be the name of a header, as X-Signature, found ${describe(text)}`);
}

/** `v0:{header:X-Time}:{body}`: the body is in it once, since else anything could be sent under the signature. */
function readSigned(field: Field): SignedPart[] | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  const parts = text.split(/\{([^{}]*)\}/).flatMap((part, index): SignedPart[] => {
    if (index % 2 === 0) return part === '' ? [] : [part];
    if (part === 'body') return [null];
    const header = /^header:(.+)$/.exec(part)?.[1];
    if (header === undefined || !headerPattern.test(header)) {
      field.error(`has ${describe(part)} in braces; there may be {body} and {header:NAME}`);
      return [];
    }
    return [{ header: header.toLowerCase() }];
  });
  if (parts.filter((part) => part === null).length === 1) return parts;
  return field.error(`must have {body} once, as {header:X-Time}.{body}, found ${describe(text)}`);
}
