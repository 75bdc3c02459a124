import t from 'tap';
import type { Account, TriggerAccount } from './account.ts';
import { faultsFound, report } from './report.ts';
import type { SuiteResult } from './suite.ts';

const fine: TriggerAccount = {
  ...{ trigger: 'first', isOrdered: true, delivered: 10, deadLettered: 0, missing: [], duplicates: 0 },
  ...{
    causes: new Map(),
    unexplained: [],
    longestSilence: { ms: 1_200, fromMs: 3_000 },
    outOfOrder: [],
    overtaken: [],
  },
};

function result(trigger: Partial<TriggerAccount>, more: Partial<SuiteResult> = {}, kills: Account['kills'] = []) {
  return {
    account: { sent: 10, triggers: [{ ...fine, ...trigger }], kills },
    ...{ evidence: [], startedMs: 1_000, drainedMs: 500, badEnds: [], failedStarts: [], corrupt: [] },
    ...{ history: [], errors: new Map() },
    ...more,
  } satisfies SuiteResult;
}

t.test('a run in which all is explained has nothing wrong', async (t) => {
  t.strictSame(faultsFound(result({ duplicates: 3, causes: new Map([['kill', 3]]) })), []);
});

t.test('whatever breaks a promise is told', async (t) => {
  const found = (...args: Parameters<typeof result>) => faultsFound(result(...args)).join();
  t.match(found({ missing: [4] }), 'first: 1 events are missing: 4');
  t.match(found({ unexplained: [4] }), 'more often than is explained: 4');
  t.match(found({ outOfOrder: [4] }), 'out of order: 4');
  t.equal(found({ outOfOrder: [4], isOrdered: false }), '', 'where order is promised');
  t.match(found({}, { drainedMs: null }), 'stalled');
  const life = { slot: 2, number: 1, startedAtMs: 0, endedAtMs: 1, exitCode: 1 };
  t.match(found({}, { badEnds: [{ ...life, how: 'crash' }] }), 'Posthorn 2 ended by itself, with code 1');
  t.match(found({}, { badEnds: [{ ...life, how: 'leave' }] }), 'Posthorn 2 did not end well, with code 1');
  t.match(found({}, { corrupt: ['event 1 with x'] }), 'corrupt: event 1 with x');
  t.match(found({}, { errors: new Map([['LOST: the log deleted 3 records', 1]]) }), 'LOST');
  const kill = { slot: 1, atMs: 0, inFlight: 257, settledUncommitted: 0, repeated: 257 };
  t.match(found({}, {}, [{ ...kill, repeatedAlone: new Map([['first', 257]]) }]), 'repeated 257 deliveries');
});

t.test('the table shows what there was, with times from the first event on', async (t) => {
  const [headers, , row] = report(result({})).split('\n');
  t.match(headers, /^\| trigger \| sent \| delivered \| dead-lettered \| missing \| duplicates \| unexplained \|/);
  t.match(row, /^\| first +\| +10 \| +10 \| +0 \| +0 \| +0 \| +0 \| +0 \| +1\.2 s at 2\.0 s \|$/);
});
