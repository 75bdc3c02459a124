import t from 'tap';
import { formatPointer, JsonText, parsePointer } from '../../event/json-pointer.ts';
import { fillIn, formatTemplate, parseTemplate, type Template } from '../../event/template.ts';
import { refusal } from './sample.ts';

/** The example of RFC 6901, section 5. */
const document = {
  foo: ['bar', 'baz'],
  '': 0,
  'a/b': 1,
  'c%d': 2,
  'e^f': 3,
  'g|h': 4,
  'i\\j': 5,
  'k"l': 6,
  ' ': 7,
  'm~n': 8,
};

function json(value: unknown): JsonText {
  return new JsonText(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));
}

t.test('JSON pointers find what RFC 6901, section 5, says', async (t) => {
  const found = ['/foo/0', '/', '/a~1b', '/c%d', '/e^f', '/g|h', '/i\\j', '/k"l', '/ ', '/m~0n'].map((text) => {
    const pointer = parsePointer(text);
    t.equal(formatPointer(pointer ?? []), text);
    return json(document).textAt(pointer ?? ['none']);
  });
  t.strictSame(found, ['bar', '0', '1', '2', '3', '4', '5', '6', '7', '8']);
  t.equal(json(document).jsonAt([]), JSON.stringify(document));
  t.equal(json(document).jsonAt(['foo']), '["bar","baz"]');
});

t.test('what is no pointer is none (RFC 6901, section 3)', async (t) => {
  for (const text of ['a', 'a/b', '/~', '/a~2', '#/a']) t.equal(parsePointer(text), null, text);
});

t.test('where there is nothing, or null, nothing is found', async (t) => {
  const value = json({ a: null, b: ['x'], c: 'text', __proto__: undefined });
  const pointers = ['/a', '/a/b', '/b/1', '/b/01', '/b/-', '/b/length', '/c/0', '/c/length', '/toString', '/__proto__'];
  for (const text of pointers) {
    t.equal(value.textAt(parsePointer(text) ?? []), undefined, text);
    t.equal(value.jsonAt(parsePointer(text) ?? []), undefined, text);
  }
});

t.test('numbers that a double does not hold come out as they are written', async (t) => {
  const value = json(
    '{"id":12345678901234567890,"price":1.50,"big":1e400,"n":7,"in":[{"id":9007199254740993}],"ok":true}',
  );
  t.strictSame(
    ['id', 'price', 'big', 'n', 'ok'].map((name) => value.textAt([name])),
    ['12345678901234567890', '1.50', '1e400', '7', 'true'],
  );
  t.equal(value.jsonAt(['in']), '[{"id":9007199254740993}]');
});

t.test('a value that is no JSON, and a place that has no plain value, are refused with what is there', async (t) => {
  t.match(refusal(t, () => new JsonText(null), 'null').message, 'the value is absent');
  t.match(refusal(t, () => new JsonText(Buffer.from([0xff])), 'bytes').message, 'not UTF-8');
  t.match(refusal(t, () => json('{"a":'), 'half').message, 'the value is not JSON: ');
  t.match(refusal(t, () => json({ a: {} }).textAt(['a']), 'object').message, 'has an object at /a');
  t.match(refusal(t, () => json({ a: [] }).textAt(['a']), 'array').message, 'has an array at /a');
});

t.test('a template is a pointer, a text with pointers in it, or a text', async (t) => {
  const value = json({ meta: { domain: 'en.wikipedia.org', none: null }, page: { id: 7 } });
  const filled = (text: string): string | undefined => {
    const template = parseTemplate(text) as Template;
    t.equal(formatTemplate(template), text);
    return fillIn(template, () => value);
  };
  t.equal(filled('/meta/domain'), 'en.wikipedia.org');
  t.equal(filled('//{/meta/domain}/wiki?curid={/page/id}'), '//en.wikipedia.org/wiki?curid=7');
  t.equal(filled('com.example.page'), 'com.example.page');
  t.equal(filled('page-{/page/none}'), undefined, 'of which a part is missing, there is nothing');
  t.match(parseTemplate(''), { problem: 'is empty' });
  t.match(parseTemplate('/a~'), { problem: 'has /a~, which is no JSON pointer' });
  t.match(parseTemplate('a{/b~}'), { problem: 'has /b~, which is no JSON pointer' });
  for (const text of ['a{b}', 'a{/b', 'a}']) t.match(parseTemplate(text), { problem: 'has a brace' }, text);
});
