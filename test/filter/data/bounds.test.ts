import t from 'tap';
import { stepsMax } from '../../../broker/filter/data/evaluation.ts';
import { EventData } from '../../../broker/filter/data/event-data.ts';
import { testEvent } from '../../support/events.ts';
import { judged, refusalOf } from './judged.ts';

const tooLong = `the data filter would need more than ${stepsMax} steps for this event`;

function upTo<Item>(count: number, make: (index: number) => Item): Item[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

const keys = (count: number) => Object.fromEntries(upTo(count, (index) => [`k${index}`, 1]));
const doubled = (times: number) => `[data.a]${'.map(x, x + x)'.repeat(times)}`;

/** Expressions and data that would take long, or much memory, or for ever; each ends within the bound. */
const adversaries: Readonly<Record<string, { readonly expression: string; readonly data: unknown }>> = {
  'macros in macros': {
    expression: 'data.a.exists(x, data.a.exists(y, data.a.exists(z, x + y + z < 0)))',
    data: { a: upTo(1_000, (index) => index) },
  },
  'macros in macros, over errors': {
    expression: 'data.a.all(x, data.a.all(y, x.nope))',
    data: { a: upTo(1_000, (index) => index) },
  },
  'lists of lists': {
    expression: 'data.a.map(x, data.a.map(y, data.a)).size() == 0',
    data: { a: upTo(1_000, () => 1) },
  },
  'a list that doubles': { expression: `${doubled(30)}.size() == 0`, data: { a: [1] } },
  'a text that doubles': { expression: `${doubled(60)}.size() == 0`, data: { a: 'xx' } },
  'a text sought in a text': {
    expression: 'data.a.contains(data.b)',
    data: { a: 'a'.repeat(100_000), b: `${'a'.repeat(1_800)}b${'a'.repeat(1_800)}` },
  },
  'a backtracker’s regular expression': {
    expression: `data.a.matches('^(a+)+$')`,
    data: { a: `${'a'.repeat(60_000)}b` },
  },
  'a regular expression of many states': {
    expression: `data.a.matches('a[ab]{300}[^ab]c')`,
    data: { a: 'ab'.repeat(5_000) },
  },
  'a regular expression that folds case': {
    expression: `data.a.matches('(?i)(k|s)*x')`,
    data: { a: 'ſ'.repeat(20_000) },
  },
  'long lists compared': {
    expression: 'data.a == data.b && data.b == data.a',
    data: { a: upTo(20_000, () => 'a'), b: upTo(20_000, () => 'a') },
  },
  'each of a list in another': {
    expression: 'data.a.exists(x, x in data.b)',
    data: { a: upTo(1_000, (index) => index), b: upTo(1_000, (index) => -1 - index) },
  },
  'the keys of a large object, often': {
    expression: 'data.l.exists(x, data.o.size() == 0)',
    data: { l: upTo(1_000, () => 1), o: keys(1_000) },
  },
  'the keys of a huge object': { expression: 'data.all(key, true)', data: keys(40_000) },
  'huge objects compared': { expression: 'data.a == data.b', data: { a: keys(20_000), b: keys(20_000) } },
  times: {
    expression: 'data.a.exists(x, timestamp(x).getFullYear() < 0)',
    data: { a: upTo(20_000, () => '2026-01-31T12:00:00Z') },
  },
  durations: {
    expression: `data.a.exists(x, duration(x) < duration('0s'))`,
    data: { a: upTo(8_000, () => '1h1m1s1ms1us1ns'.repeat(6)) },
  },
  'texts in another case': {
    expression: 'data.a.exists(x, x.lowerAscii() == "")',
    data: { a: upTo(10, () => 'Ab'.repeat(40_000)) },
  },
};

for (const [name, { expression, data }] of Object.entries(adversaries)) {
  t.test(`beyond the steps there is no answer: ${name}`, async (t) => {
    const verdict = judged(expression, data);
    t.match(verdict, { kind: 'undecided', reason: tooLong });
    t.ok(verdict.steps > stepsMax, 'it ends with the step that is one too many');
  });
}

t.test('an error of the bound is not absorbed as others are', async (t) => {
  const data = { a: upTo(1_000, (index) => index) };
  const long = 'data.a.exists(x, data.a.exists(y, x + y < 0))';
  t.match(judged(`${long} || true`, data), { kind: 'undecided' });
  t.match(judged(`true || ${long}`, data), { kind: 'passes' });
});

t.test('the steps are the same each time, and few for what is usual', async (t) => {
  const usual = `data.amount > 100 && data.country in ['CH', 'DE']`;
  const data = { amount: 150, country: 'DE' };
  t.equal(judged(usual, data).steps, judged(usual, data).steps);
  t.ok(judged(usual, data).steps <= 15);
  const items = { items: upTo(5_000, (index) => ({ sku: `s${index}` })) };
  t.match(judged(`data.items.exists(i, i.sku == 's4999')`, items), { kind: 'passes' });
});

t.test('what takes longer counts as more steps', async (t) => {
  const atLeast = (steps: number, expression: string, data: unknown): void => {
    const counted = judged(expression, data).steps;
    t.ok(counted >= steps, `${expression}: ${counted}`);
  };
  atLeast(16_000, `data.a.matches('(?i)kx')`, { a: 'ſ'.repeat(1_000) });
  atLeast(3_000, `data.a.matches('[a-c]x')`, { a: 'a'.repeat(1_000) });
  atLeast(40_000, 'data.size() == 0', keys(10_000));
  atLeast(1_200, 'data.a.contains(data.b)', { a: 'a'.repeat(10_000), b: 'b'.repeat(100) });
  atLeast(4_000, `data.a.lowerAscii() == ''`, { a: 'a'.repeat(16_000) });
  atLeast(500, 'data.a == data.b', { a: 'a'.repeat(16_000), b: 'a'.repeat(16_000) });
  atLeast(500, 'data.a < data.b', { a: 'a'.repeat(16_000), b: 'a'.repeat(16_000) });
  atLeast(500, 'data.a.size() == 1', { a: 'a'.repeat(16_000) });
  atLeast(2_000, `double(data.a) > 1.0`, { a: '1'.repeat(16_000) });
  atLeast(500, 'data.a.startsWith(data.b)', { a: 'a', b: 'a'.repeat(16_000) });
  atLeast(1_000, `data.a + data.a == ''`, { a: 'a'.repeat(16_000) });
  atLeast(2_000, 'data.a + data.a == []', { a: upTo(1_000, () => 1) });
  atLeast(60, `timestamp(data.a) == timestamp(0)`, { a: '2026-01-31T12:00:00.123456789Z' });
  atLeast(20, `timestamp(data.a).getFullYear() == 1`, { a: 1 });
  atLeast(80, `duration(data.a) == duration('1s')`, { a: '1h1m1s1ms1' });
});

t.test('the longest text is searched within the steps', async (t) => {
  const data = { a: 'a'.repeat(1_048_576 - 8) };
  t.match(judged(`data.a.contains('a needle of 16 c')`, data), { kind: 'fails', reason: 'it is false' });
});

t.test('data beyond a bound has no answer where it is asked for, and only there', async (t) => {
  const over: Readonly<Record<string, readonly [string, string]>> = {
    bytes: [JSON.stringify('x'.repeat(1_048_575)), 'the data has 1048577 bytes, and data filters read at most 1048576'],
    nesting: [`${'['.repeat(129)}${']'.repeat(129)}`, 'the data is nested 129 deep, and data filters read at most 128'],
    values: [`[${upTo(50_000, () => 1)}]`, 'the data has 50001 values, and data filters read at most 50000'],
  };
  for (const [name, [json, reason]] of Object.entries(over)) {
    t.match(judged('data.x == 1', json), { kind: 'undecided', reason }, name);
    t.match(judged(`event.type == '' || has(data.x)`, json), { kind: 'undecided', reason }, name);
    t.match(judged(`event.type != '' || has(data.x)`, json), { kind: 'passes' }, name);
  }
});

t.test('data at a bound is read', async (t) => {
  const at: Readonly<Record<string, string>> = {
    bytes: JSON.stringify('x'.repeat(1_048_574)),
    nesting: `${'{"a":'.repeat(127)}["]]]]"]${'}'.repeat(127)}`,
    values: `[${upTo(49_999, () => 1)}]`,
  };
  for (const [name, json] of Object.entries(at)) t.match(judged('data != null', json), { kind: 'passes' }, name);
});

t.test('expressions have bounds', async (t) => {
  const sum = (count: number) => `data.n == ${upTo(count, () => '1').join(' + ')}`;
  t.equal(refusalOf(sum(150)), '');
  t.match(refusalOf(sum(300)), /^\d+: the expression is more than 200 levels deep$/);
  t.equal(refusalOf(upTo(700, (index) => `data.n == ${index}`).join(' || ')), '', 'a chain is one level');
  t.match(refusalOf(`${'('.repeat(200)}true${')'.repeat(200)}`), /^100: the expression is more than 100 levels deep$/);
  t.match(refusalOf(`data.n in [${upTo(4_001, () => 1)}]`), /: the expression has more than 4000 parts$/);
  t.equal(refusalOf(`data.n in [${upTo(2_000, (index) => index)}]`), '');
  t.equal(
    refusalOf(`'${'x'.repeat(16_383)}' == data.n`),
    '0: the expression has 16395 characters, at most 16384 are taken',
  );
  t.match(refusalOf(`data.n.matches('a{1000}b{1000}')`), /the pattern has \d+ states, at most 2000 are taken/);
});

t.test('the data is read once, and only if it is asked for', async (t) => {
  let reads = 0;
  const event = testEvent();
  const data = new EventData({
    attributes: event.attributes,
    get data() {
      reads += 1;
      return Buffer.from('{"n": 1}');
    },
  });
  t.equal(reads, 0);
  t.strictSame(data.json(), { kind: 'json', value: { n: 1 } });
  t.equal(data.json(), data.json());
  t.equal(reads, 1);
});
