import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { defaultDelivery } from '../../broker/trigger/trigger.ts';
import type { Batch } from '../../dispatcher/batch/body.ts';
import type { Outcome } from '../../dispatcher/fate.ts';
import { fromRetryRecord } from '../../dispatcher/retry.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { asLogRecord } from '../support/scripted-log.ts';
import { answered, type Held, startPipeline, topics } from './pipeline-setup.ts';

const attemptsMax = 4;

/** What the handler makes of one event at one attempt. */
const perEvent = fc.constantFrom(200, 204, 503, 429, 404, 400, 410, 413, 'missing', 'unreadable');
/** What becomes of a request as a whole; results: each event by itself. */
const perRequest = fc.oneof(
  { weight: 5, arbitrary: fc.constant('results') },
  { weight: 1, arbitrary: fc.constantFrom('ok', 500, 400, 413, 'timeout', 'cut', 'no list') },
);
type Answer = number | string;

const scenario = fc.record({
  eventsMax: fc.integer({ min: 1, max: 6 }),
  maxInFlight: fc.integer({ min: 1, max: 3 }),
  /** Of each event, by attempt. */
  events: fc.array(fc.array(perEvent, { minLength: attemptsMax, maxLength: attemptsMax }), {
    minLength: 1,
    maxLength: 20,
  }),
  requests: fc.array(perRequest, { maxLength: 30 }),
});

/** What is to become of an event after an attempt that was answered so: the table of decide.ts, written once more. */
function fateOf(answer: Answer, attempt: number): 'delivered' | 'retry' | 'dead' {
  if (answer === 'ok' || answer === 200 || answer === 204) return 'delivered';
  if (answer === 400 || answer === 410 || answer === 413) return 'dead';
  return attempt < attemptsMax ? 'retry' : 'dead';
}

t.test('whatever is answered, each event ends by its own status, once, and none is lost', (t) => {
  const runs = { numRuns: propertyRuns(150, 3_000) };
  const property = fc.asyncProperty(scenario, async ({ eventsMax, maxInFlight, events, requests }) => {
    const trigger = testTrigger('http://127.0.0.1:1/', {
      ...{ maxInFlight, batch: { eventsMax, bytesMax: 1_000_000, lingerMs: 10 } },
      delivery: { ...defaultDelivery, attemptsMax, jitter: 0 },
    });
    const pipeline = startPipeline([trigger], { waitingEventsMax: 1_000 });
    /** Of each event, the attempts that counted and what they came to. */
    const fates = events.map((): string[] => []);
    const planned = [...requests];
    pipeline.answerBatches((batch) => answerTo(batch, planned.shift() ?? 'results', events, fates));

    const held: Held[] = events.map((_, index) =>
      pipeline.run(testDelivery(trigger, testEvent({ id: String(index) }))),
    );
    const dead: number[] = [];
    for (let seen = 0, round = 0; held.some(({ state }) => state === 'held'); round++) {
      assert.ok(round < 200, 'it comes to an end');
      // Longer than any probe of an open breaker takes.
      await pipeline.clock.advance(300_000);
      for (const { topic, record } of pipeline.appended.slice(seen)) {
        if (topic === topics.deadLetter) dead.push(Number(record.headers.ce_id));
        else held.push(pipeline.run({ ...fromRetryRecord(asLogRecord(record)), trigger }));
      }
      seen = pipeline.appended.length;
    }
    for (const { state } of held) assert.equal(state, 'settled');
    for (const [index, its] of fates.entries()) {
      const last = its.at(-1)?.split(' ')[1];
      assert.deepEqual(
        its.slice(0, -1),
        its.slice(0, -1).map((_, n) => `${n + 1} retry`),
        `${index}: ${its}`,
      );
      assert.equal(dead.filter((id) => id === index).length, last === 'dead' ? 1 : 0);
      assert.ok(last === 'dead' || last === 'delivered', `${index}: ${its}`);
    }
    assert.equal(pipeline.clock.pending, 0, 'no timer is left');
  });
  return t.resolves(fc.assert(property, runs));
});

/** The answer to a batch; notes of each event which attempt it was and what it has to lead to. */
function answerTo(batch: Batch, request: Answer, events: readonly Answer[][], fates: string[][]): Outcome {
  // Too large is the batch, and not an event: nothing has happened to any of them.
  if (request === 413 && batch.deliveries.length > 1) return answered(413);
  const results: object[] = [];
  for (const { event, attempt } of batch.deliveries) {
    const index = Number(event.attributes.id);
    const own = request === 'results' ? (events[index]?.[attempt - 1] ?? 200) : request;
    fates[index]?.push(`${attempt} ${fateOf(own, attempt)}`);
    const { source, id } = event.attributes;
    if (own !== 'missing') results.push({ source, id, status: own });
  }
  switch (request) {
    case 'results':
      return answered(200, [], JSON.stringify({ results: results.reverse() }));
    case 'ok':
      return answered(202, [], '{"ok":true}');
    case 'no list':
      return answered(200, [], '{"results":7}');
    case 'cut':
      return { kind: 'answered', status: 200, headers: [], body: Buffer.from('{"results":[{'), truncated: true };
    case 'timeout':
      return { kind: 'unanswered', cause: 'timeout', message: 'no complete answer within 30000 ms' };
    default:
      return answered(Number(request));
  }
}
