import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import t from 'tap';
import { EventError } from '../../event/errors.ts';
import type { CloudEvent } from '../../event/event.ts';
import { decodeHttp, decodeReply, encodeBinary, encodeStructured } from '../../event/http.ts';
import { batchMemberOf, encodeJsonBatch } from '../../event/json.ts';
import { isJson } from '../../event/json-slice.ts';
import { fromRecord, toRecord } from '../../event/kafka.ts';
import { isJsonType } from '../../event/media-type.ts';
import { checkAttributes } from '../../event/validate.ts';
import { anyEvent as event, standardAttributes } from './arbitrary.ts';
import { only, plain, required } from './sample.ts';

const runs = { numRuns: 400 };

/** Attributes and data, to compare; HTTP does not tell empty data from none. */
function parts({ attributes, data }: CloudEvent): [Record<string, string | undefined>, string] {
  return [plain(attributes), data?.toString('hex') ?? ''];
}

/** What the JSON format leaves out: white space around JSON. */
function throughJson({ attributes, data }: CloudEvent): CloudEvent {
  const type = attributes.datacontenttype;
  if (data === undefined || type === undefined || !isJsonType(type) || !isJson(data)) return { attributes, data };
  const trimmed = Buffer.from(data.toString().replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, ''));
  return { attributes, data: trimmed };
}

t.test('any valid event is the same after HTTP in binary mode', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(event, (event) => {
        checkAttributes(event.attributes);
        const { headers, body } = encodeBinary(event);
        for (const header of headers) assert.match(header, /^[ -~]*$/);
        const decoded = decodeHttp(headers, body ?? Buffer.alloc(0));
        const expected = decoded.mode === 'binary' ? event : throughJson(event);
        assert.deepEqual(parts(only(decoded.events)), parts(expected));
        const reply = decodeReply(headers, body ?? Buffer.alloc(0));
        assert.deepEqual(reply && parts(reply), parts(expected));
      }),
      runs,
    ),
  );
  t.end();
});

t.test('any valid event is the same after HTTP in structured mode, and in a batch', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 4 }), (events) => {
        const bodies = events.map((event) => encodeStructured(event).body ?? Buffer.alloc(0));
        const expected = events.map((event) => parts(throughJson(event)));
        const singles = bodies.map((body) =>
          only(decodeHttp(['content-type', 'application/cloudevents+json'], body).events),
        );
        assert.deepEqual(singles.map(parts), expected);
        const joined = Buffer.from(`[${bodies.join(' ,')}]`);
        const batch = decodeHttp(['content-type', 'application/cloudevents-batch+json'], joined);
        assert.deepEqual(batch.events.map(parts), expected);
        const encoded = encodeJsonBatch(events.map(batchMemberOf));
        const again = decodeHttp(['content-type', 'application/cloudevents-batch+json'], encoded);
        assert.deepEqual(again.events.map(parts), expected);
      }),
      runs,
    ),
  );
  t.end();
});

t.test('any valid event is the same after the log, empty data told from none', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(event, (event) => {
        const { key, value, headers } = toRecord(event);
        const encoded = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)]));
        const decoded = fromRecord({ key, value, headers: encoded });
        assert.deepEqual(parts(decoded), parts(event));
        assert.equal(decoded.data === undefined, event.data === undefined);
        const structured = encodeStructured(event);
        const type = Buffer.from(structured.headers[1] ?? '');
        const read = fromRecord({ key, value: structured.body, headers: { 'content-type': type } });
        assert.deepEqual(parts(read), parts(throughJson(event)));
      }),
      runs,
    ),
  );
  t.end();
});

/** Runs it; whatever is thrown but EventError fails the property. */
function orRefused(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof EventError)) throw error;
  }
}

t.test('random messages and records throw nothing but EventError', (t) => {
  const bytes = fc
    .oneof(fc.uint8Array({ maxLength: 200 }), fc.string({ unit: 'binary' }), fc.json())
    .map((b) => Buffer.from(b));
  const latin1 = fc.uint8Array({ maxLength: 40 }).map((b) => Buffer.from(b).toString('latin1'));
  const type = fc.oneof(latin1, fc.constantFrom('application/cloudevents+json', 'application/cloudevents-batch+json'));
  const ce = fc.oneof(fc.constantFrom(...Object.keys(standardAttributes)), latin1).map((name) => `ce-${name}`);
  const pair = fc.oneof(fc.tuple(ce, latin1), fc.tuple(fc.constantFrom('content-type', 'Content-Type'), type));
  const headers = fc.array(pair, { maxLength: 8 }).map((pairs) => pairs.flat());
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(headers, bytes, fc.string(), (headers, body, wide) => {
        orRefused(() => decodeHttp(headers, body));
        orRefused(() => decodeReply(headers, body));
        orRefused(() => decodeHttp([...headers, 'ce-wide', `${wide}€`], body));
        const record: Record<string, Buffer | Buffer[]> = {};
        for (let i = 0; i < headers.length; i += 2) {
          const name = headers[i]?.replace('ce-', 'ce_').toLowerCase() ?? '';
          const value = Buffer.from(headers[i + 1] ?? '', 'latin1');
          record[name] = record[name] === undefined ? value : [value, value];
        }
        orRefused(() => fromRecord({ key: body, value: body, headers: record }));
        orRefused(() => fromRecord({ key: null, value: null, headers: record }));
      }),
      { numRuns: 1_000 },
    ),
  );
  t.end();
});

t.test('a structured event with bytes changed is refused or read, as JSON.parse has it', (t) => {
  const json = fc.json({ maxDepth: 4 }).map((data) => `{${JSON.stringify(required).slice(1, -1)},"data":${data}}`);
  const edit = fc.tuple(
    fc.nat(),
    fc.oneof(fc.constantFrom(...'{}[]",:\\0e.-+nu \n\u0000'), fc.string({ unit: 'binary' })),
    fc.nat(3),
  );
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(json, fc.array(edit, { maxLength: 3 }), (json, edits) => {
        let bytes = Buffer.from(json);
        for (const [where, insert, remove] of edits) {
          const at = where % (bytes.length + 1);
          bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(insert), bytes.subarray(at + remove)]);
        }
        assert.equal(isJson(bytes), isUtf8(bytes) && parses(bytes.toString()));
        orRefused(() => decodeHttp(['content-type', 'application/cloudevents+json'], bytes));
        orRefused(() =>
          decodeHttp(
            ['content-type', 'application/cloudevents-batch+json'],
            Buffer.concat([Buffer.from('['), bytes, Buffer.from(']')]),
          ),
        );
      }),
      { numRuns: 2_000 },
    ),
  );
  t.end();
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
