import t from 'tap';
import { EventData } from '../../../broker/filter/data/event-data.ts';
import { testEvent } from '../../support/events.ts';

function jsonOf(data: Buffer | undefined, attributes: Readonly<Record<string, string>> = {}) {
  return new EventData(testEvent(attributes, data)).json();
}

const json = { datacontenttype: 'application/json' };

t.test('data is JSON where its type says so, or where none is said and it can be parsed', async (t) => {
  for (const type of [
    'application/json',
    'APPLICATION/JSON; charset=utf-8',
    'text/json',
    'application/vnd.order+json',
  ]) {
    t.strictSame(jsonOf(Buffer.from('{"a":[1,null]}'), { datacontenttype: type }), {
      kind: 'json',
      value: { a: [1, null] },
    });
  }
  t.strictSame(jsonOf(Buffer.from('1')), { kind: 'json', value: 1 });
});

t.test('other data is none, and so is what is not there', async (t) => {
  t.match(jsonOf(Buffer.from('{}'), { datacontenttype: 'text/plain' }), {
    kind: 'none',
    reason: 'the data of the event is text/plain, not JSON',
  });
  t.match(jsonOf(undefined, json), { kind: 'none', reason: 'the event has no data' });
  t.match(jsonOf(Buffer.alloc(0), json), { kind: 'none', reason: 'the event has no data' });
  t.match(jsonOf(Buffer.from('hello')), { kind: 'none', reason: /^the data of the event is not JSON: / });
});

t.test('data that says that it is JSON and is not can not be read', async (t) => {
  t.match(jsonOf(Buffer.from('{"name": secret}'), json), {
    reason: /says: "s" at byte 9, a value was to come$/,
  });
  for (const data of ['{', '{"a":1}x', 'hello', "{'a':1}", '[1,]', '01', '"\\x"', '\u0000', '\ufeff{}']) {
    t.match(
      jsonOf(Buffer.from(data), json),
      { kind: 'unreadable', reason: /^the data is not the JSON that its datacontenttype application\/json says: / },
      data,
    );
  }
  t.match(jsonOf(Buffer.from('"\xff"', 'latin1'), json), {
    kind: 'unreadable',
    reason: /says: the text is not valid UTF-8$/,
  });
});

t.test('brackets and commas within texts do not count', async (t) => {
  const text = `\\"\\\\${'[{,'.repeat(50_000)}`;
  t.match(jsonOf(Buffer.from(`["${text}"]`), json), { kind: 'json' });
});
