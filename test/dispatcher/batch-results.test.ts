import t from 'tap';
import { readResults } from '../../dispatcher/batch/results.ts';
import type { Outcome } from '../../dispatcher/fate.ts';
import { testEvent } from '../support/events.ts';

const [a, b] = ['a', 'b'].map((id) => testEvent({ id })) as [
  ReturnType<typeof testEvent>,
  ReturnType<typeof testEvent>,
];

function answer(body: unknown, more: { status?: number; headers?: string[]; truncated?: boolean } = {}): Outcome {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return { kind: 'answered', status: 200, headers: [], truncated: false, ...more, body: bytes };
}

const entry = (id: string, status: unknown, more: object = {}) => ({ source: '/test', id, status, ...more });

/** Of each event the status that counts, or why it has none. */
function of(outcome: Outcome, events = [a, b]): (number | string)[] {
  return readResults(outcome, events).outcomes.map((one) => (one.kind === 'answered' ? one.status : one.message));
}

t.test('what is not 2xx, and no answer, is the same for all', async (t) => {
  const results = { results: [entry('a', 200), entry('b', 200)] };
  t.same(of(answer(results, { status: 503 })), [503, 503], 'whatever the body says');
  t.same(of({ kind: 'unanswered', cause: 'timeout', message: 'late' }), ['late', 'late']);
});

t.test('a 2xx without results is good for all', async (t) => {
  const bodies = ['', 'OK', '<p>results</p>', '{}', '{"ok":true}', '{not JSON}', '[]', '"results"', '[{"results":[]}]'];
  for (const body of bodies) t.same(of(answer(body)), [200, 200], body);
  t.same(of(answer('OK', { truncated: true })), [200, 200]);
});

t.test('each event has the status of its entry, in any order, and the entry is what it was answered', async (t) => {
  const results = [entry('b', 422, { why: 'no such order' }), entry('a', 204)];
  for (const body of [{ results }, `  \n${JSON.stringify({ results })}`, `\uFEFF${JSON.stringify({ results })}`]) {
    t.same(of(answer(body)), [204, 422]);
  }
  const [, second] = readResults(answer({ results }, { headers: ['retry-after', '5'] }), [a, b]).outcomes;
  t.match(second, { headers: ['retry-after', '5'] });
  t.same(second?.kind === 'answered' && JSON.parse(second.body.toString()), results[0]);
});

t.test('an event without an entry that can be read was not answered', async (t) => {
  const missing = "the answer's results have no entry for the event";
  t.same(of(answer({ results: [] })), [missing, missing]);
  t.same(of(answer({ results: [entry('a', 200)] })), [200, missing]);
  t.same(of(answer({ results: [entry('a', 200), { ...entry('b', 200), source: '/other' }] })), [200, missing]);
  const wrong = [
    [entry('b', '200'), 'has no status that is a number from 200 to 599'],
    [entry('b', 99), 'has no status that is a number from 200 to 599'],
    [entry('b', 200.5), 'has no status that is a number from 200 to 599'],
    [{ id: 'b', status: 200 }, 'has no source that is a string'],
    [{ source: '/test', id: 1, status: 200 }, 'has no id that is a string'],
    [null, 'is no object'],
  ] as const;
  for (const [one, problem] of wrong) {
    t.same(of(answer({ results: [entry('a', 200), one] })), [
      200,
      `${missing} that can be read; results[1] ${problem}`,
    ]);
  }
});

t.test('results that can not be read as a whole leave every event unanswered', async (t) => {
  const cases = [
    [answer('{"results": [}'), /results are no JSON/],
    [answer({ results: {} }), /results are no list/],
    [answer({ results: null }), /results are no list/],
    [answer('{"results": [{"sou', { truncated: true }), /longer than 18 bytes/],
  ] as const;
  for (const [outcome, why] of cases) for (const said of of(outcome)) t.match(said, why);
});

t.test('of events with the same source and id each gets its own entry, or all the only one', async (t) => {
  t.same(of(answer({ results: [entry('a', 503)] }), [a, a]), [503, 503]);
  t.same(of(answer({ results: [entry('a', 200), entry('a', 503)] }), [a, a]), [200, 503]);
  t.same(of(answer({ results: [entry('a', 200), entry('a', 503)] }), [a, b, a, a]).at(-1), 503);
});

t.test('entries of events that were not sent are told apart, and change nothing', async (t) => {
  const results = [entry('a', 200), entry('x', 500), entry('b', 200), entry('b', 400)];
  const read = readResults(answer({ results }), [a, b]);
  t.same(
    read.strangers.map(({ id, status }) => [id, status]),
    [
      ['x', 500],
      ['b', 400],
    ],
  );
  t.same(of(answer({ results })), [200, 200]);
});
