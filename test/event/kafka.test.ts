import t from 'tap';
import { type EventRecord, fromRecord, toRecord } from '../../event/kafka.ts';
import { eventWith, named, plain, refusal, required, textOfData } from './sample.ts';

const requiredHeaders = Object.fromEntries(Object.entries(required).map(([name, value]) => [`ce_${name}`, value]));

function record(headers: Record<string, string | Buffer | Buffer[]>, value: Buffer | null = null): EventRecord {
  const encoded: Record<string, Buffer | Buffer[]> = {};
  for (const [name, header] of Object.entries(headers)) {
    encoded[name] = typeof header === 'string' ? Buffer.from(header) : header;
  }
  return { key: null, value, headers: encoded };
}

t.test('an event is a record in binary mode: ce_ headers, its data, keyed by partitionkey', (t) => {
  t.same(toRecord(eventWith({})), { key: null, value: null, headers: requiredHeaders });
  const data = Buffer.from([0, 255]);
  t.same(toRecord(eventWith({ datacontenttype: 'a/b', partitionkey: 'ü 1', ext: 'Euro €' }, data)), {
    key: Buffer.from('ü 1'),
    value: data,
    headers: { ...requiredHeaders, 'content-type': 'a/b', ce_partitionkey: 'ü 1', ce_ext: 'Euro €' },
  });
  t.same(toRecord(eventWith({}, '')).value, Buffer.alloc(0));
  t.end();
});

t.test('a record in binary mode is read, headers that are not CloudEvents passed over', (t) => {
  const value = Buffer.from('data');
  const event = fromRecord(
    record(
      {
        ...requiredHeaders,
        'content-type': 'text/plain',
        ce_ext: 'Grüße 😀 %41 "x"',
        traceparent: '00',
        CE_ID: 'x',
        ce: 'y',
      },
      value,
    ),
  );
  t.same(plain(event.attributes), { ...required, datacontenttype: 'text/plain', ext: 'Grüße 😀 %41 "x"' });
  t.equal(event.data, value);
  t.end();
});

t.test('a null value is no data, an empty one is empty data', (t) => {
  t.equal(fromRecord(record(requiredHeaders)).data, undefined);
  t.same(fromRecord(record(requiredHeaders, Buffer.alloc(0))).data, Buffer.alloc(0));
  t.end();
});

t.test('the type of the data may stand in ce_datacontenttype too, as some SDKs write it', (t) => {
  for (const headers of [{ ce_datacontenttype: 'a/b' }, { ce_datacontenttype: 'a/b', 'content-type': 'a/b' }]) {
    const event = fromRecord(record({ ...requiredHeaders, ...headers }));
    t.same(plain(event.attributes), { ...required, datacontenttype: 'a/b' });
  }
  const differ = record({ ...requiredHeaders, ce_datacontenttype: 'a/b', 'content-type': 'a/c' });
  t.equal(refusal(t, () => fromRecord(differ), 'two types').attribute, 'datacontenttype');
  t.end();
});

t.test('a record in structured mode is read, its data the exact slice', (t) => {
  const value = Buffer.from(`${JSON.stringify(required).slice(0, -1)},"n":5,"data": 12345678901234567890 }`);
  for (const type of ['application/cloudevents+json', 'Application/CloudEvents+JSON; charset=UTF-8']) {
    const event = fromRecord(record({ 'content-type': type, ce_id: 'other' }, value));
    t.same(plain(event.attributes), { ...required, n: '5', datacontenttype: 'application/json' });
    t.equal(textOfData(event), '12345678901234567890');
  }
  t.end();
});

t.test('a record that is not a valid event is refused', (t) => {
  const cases: [Record<string, string | Buffer | Buffer[]>, string | null][] = [
    [{}, null],
    [{ 'content-type': 'application/json' }, null],
    [{ ...requiredHeaders, ce_id: [Buffer.from('1'), Buffer.from('1')] }, 'id'],
    [{ ...requiredHeaders, 'content-type': [Buffer.from('a/b'), Buffer.from('a/b')] }, 'datacontenttype'],
    [{ ...requiredHeaders, ce_id: '' }, 'id'],
    [{ ...requiredHeaders, ce_specversion: '0.3' }, 'specversion'],
    [{ ...requiredHeaders, ce_time: 'noon' }, 'time'],
    [{ ...requiredHeaders, ce_ext: Buffer.from([0xff]) }, 'ext'],
    [{ ...requiredHeaders, ce_ext: 'a\u0000' }, 'ext'],
    [{ ...requiredHeaders, ce_ext: 'ü\u0085' }, 'ext'],
    [{ ...requiredHeaders, ce_data: 'x' }, 'data'],
    [{ ...requiredHeaders, ce_A: 'x' }, 'A'],
    [{ ...requiredHeaders, ce_: 'x' }, ''],
    [{ ...requiredHeaders, 'content-type': 'json' }, 'datacontenttype'],
    [{ ce_id: '1' }, 'specversion'],
    [{ 'content-type': 'application/cloudevents+json' }, null],
    [{ ...requiredHeaders, 'content-type': 'application/cloudevents+avro' }, null],
    [{ ...requiredHeaders, 'content-type': 'application/cloudevents-batch+json' }, null],
  ];
  for (const [headers, attribute] of cases) {
    const what = named(JSON.stringify(headers));
    // Twice, as names that were seen once are remembered.
    refusal(t, () => fromRecord(record(headers)), what);
    t.equal(refusal(t, () => fromRecord(record(headers)), what).attribute, attribute, what);
  }
  t.end();
});

t.test('what Posthorn adds to the attributes may exceed what is accepted from outside', (t) => {
  const ext = 'x'.repeat(20_000);
  t.equal(fromRecord(record({ ...requiredHeaders, ce_ext: ext })).attributes.ext, ext);
  refusal(t, () => fromRecord(record({ ...requiredHeaders, ce_ext: ext, ce_more: ext })), '40 kB');
  t.end();
});

t.test('data that is itself an event stays data', (t) => {
  const event = eventWith({ datacontenttype: 'application/cloudevents+json' }, ' {"id":1} ');
  const { key, value, headers } = toRecord(event);
  const read = fromRecord({ ...record(headers), key, value });
  t.same(plain(read.attributes), event.attributes);
  t.same(read.data, event.data);
  t.end();
});

t.test('more header names than are remembered are still read', (t) => {
  const unread: number[] = [];
  for (let i = 0; i < 1_500; i++) {
    const event = fromRecord(record({ ...requiredHeaders, [`ce_e${i}`]: 'v' }));
    if (event.attributes[`e${i}`] !== 'v') unread.push(i);
  }
  t.same(unread, []);
  t.end();
});
