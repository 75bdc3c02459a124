import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { EventError } from '../../../event/errors.ts';
import { newAttributes } from '../../../event/event.ts';
import type { DecodedHttp } from '../../../event/http.ts';
import { JsonText } from '../../../event/json-pointer.ts';
import { isJsonType, isMediaType } from '../../../event/media-type.ts';
import { isUriReference } from '../../../event/uri.ts';
import { checkAttributes } from '../../../event/validate.ts';
import type { BrokerName } from '../../trigger/trigger.ts';
import { Refusal } from '../problem.ts';
import { fillInText, formatText, type RequestText } from './text.ts';
import { type Verification, verify } from './verify.ts';

/** The attributes that are taken from the request of a webhook. */
export const mappedNames = ['id', 'type', 'source', 'subject', 'time'] as const;
export type MappedName = (typeof mappedNames)[number];

/** A path at which some service's webhooks come in, and what becomes of them. */
export interface Webhook {
  /** As `/github`. */
  readonly path: string;
  readonly broker: BrokerName;
  readonly verification: Verification;
  /** Of each attribute what may stand for it; the first that is whole does. Without any, an id is made up. */
  readonly attributes: Readonly<Record<MappedName, readonly RequestText[]>>;
}

/**
 * The event that a webhook's request is: its JSON is the data, byte for byte.
 * @param nowMs milliseconds since 1970
 * @throws Refusal (401, 415), EventError
 */
export function readWebhook(webhook: Webhook, { headers }: IncomingMessage, body: Buffer, nowMs: number): DecodedHttp {
  // First, so that who is a stranger learns nothing of what is wanted.
  verify(webhook.verification, headers, body, nowMs);
  const contentType = headers['content-type'];
  if (contentType !== undefined && !(isMediaType(contentType) && isJsonType(contentType))) {
    const detail = `webhooks are read in JSON, not ${contentType}; have the sender use content-type application/json`;
    throw new Refusal(415, 'unsupported_media_type', detail);
  }
  const parts = { headers, json: new JsonText(body) };
  const attributes = newAttributes();
  attributes.specversion = '1.0';
  for (const name of mappedNames) {
    const texts = webhook.attributes[name];
    let found: string | undefined;
    for (const text of texts) found ??= fillInText(text, parts);
    if (found !== undefined) attributes[name] = attributeOf(name, found);
    else if (name === 'id' && texts.length === 0) attributes.id = randomUUID();
    else if (name === 'id' || name === 'type' || name === 'source') {
      const places = texts.map(formatText).join(' nor ');
      throw new EventError(`the webhook has nothing at ${places}, where the ${name} of its event comes from`, {
        attribute: name,
      });
    }
  }
  attributes.datacontenttype = contentType ?? 'application/json';
  checkAttributes(attributes);
  return { mode: 'binary', events: [{ attributes, data: body }] };
}

function attributeOf(name: MappedName, found: string): string {
  if (name === 'time') return timeOf(found);
  // Names of repositories and the like may be in any script.
  return name === 'source' && found.isWellFormed() && !isUriReference(found) ? encodeURI(found) : found;
}

/** Seconds or milliseconds since 1970 become a time of RFC 3339; any other text is one, or is refused later. */
function timeOf(text: string): string {
  if (!/^\d{9,13}$/.test(text)) return text;
  return new Date(Number(text) * (text.length > 11 ? 1 : 1_000)).toISOString();
}
