import fc from 'fast-check';
import type { CloudEvent } from '../../event/event.ts';

const text = fc
  .oneof(fc.string({ unit: 'binary' }), fc.string(), fc.constantFrom('"', '%41', ' a ', '\\', 'ü'))
  .map((value) => value.replace(/[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/gu, ''));
const filled = text.map((value) => value || 'x');
const time = fc
  .tuple(
    fc.date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T00:00:00Z'), noInvalidDate: true }),
    fc.constantFrom('Z', 'z', '+05:30', '-00:00', '.123456789Z', '.000+14:00'),
  )
  .map(([date, rest]) => `${date.toISOString().slice(0, 19)}${rest}`);
const name = fc
  .oneof(fc.stringMatching(/^[a-z0-9]{1,24}$/), fc.constantFrom('constructor', 'partitionkey', 'dataref', 'base64'))
  .filter((name) => name !== 'data' && !(name in standardAttributes));
/** The attributes that CloudEvents names, with any valid value. */
export const standardAttributes = {
  specversion: fc.constant('1.0'),
  id: filled,
  source: fc.oneof(fc.webUrl({ withQueryParameters: true, withFragments: true }), filled.map(encodeURIComponent)),
  type: filled,
  subject: filled,
  time,
  dataschema: fc.webUrl(),
  datacontenttype: fc.constantFrom(
    'application/json',
    'Application/Vnd.x+JSON; charset=utf-8',
    'text/plain',
    'text/csv; charset="iso-8859-1"',
    'application/xml',
    'application/octet-stream',
    'multipart/mixed; boundary="a b"',
    'application/cloudevents+json',
  ),
};
const data = fc.option(
  fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.json().map((json) => Buffer.from(json)),
    fc.string({ unit: 'binary' }).map((string) => Buffer.from(string)),
    fc
      .constantFrom('', 'null', '1e400', '12345678901234567890', ' {"a":1,"a":2}\n', '\ufeff1')
      .map((s) => Buffer.from(s)),
  ),
  { nil: undefined },
);
/** Any valid event. */
export const anyEvent: fc.Arbitrary<CloudEvent> = fc
  .tuple(
    fc.record(standardAttributes, { requiredKeys: ['specversion', 'id', 'source', 'type'] }),
    fc.dictionary(name, text, { maxKeys: 6 }),
    data,
  )
  .map(([attributes, extensions, data]) => ({
    attributes: { ...extensions, ...attributes } as CloudEvent['attributes'],
    data,
  }));
