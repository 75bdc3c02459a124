import t from 'tap';
import { account, type Evidence } from './account.ts';
import { FaultLedger } from './ledger.ts';
import { callerAt, type Life } from './member.ts';

const killed: Life = { slot: 1, number: 1, startedAtMs: 0, endedAtMs: 104.5, how: 'kill', exitCode: null };

/**
 * Of a run in which events 1 to 4 of one key were accepted and stand in one partition; the first arrives at 101 ms.
 * @param successorFromMs what arrives then and later was sent by the next process in the place of the one that is killed
 */
function accountOf(
  arrivals: readonly (number | { readonly refused: number })[],
  more: (ledger: FaultLedger) => Partial<Evidence> = () => ({}),
  successorFromMs = Number.POSITIVE_INFINITY,
) {
  let nowMs = 0;
  const ledger = new FaultLedger(['first'], () => nowMs);
  for (const event of [1, 2, 3, 4]) {
    ledger.sending(event, 'a');
    ledger.accepted(event);
  }
  nowMs = 100;
  for (const event of arrivals) {
    nowMs++;
    if (typeof event !== 'number') {
      ledger.refused('first', event.refused);
      continue;
    }
    ledger.requested('first', event, 1, { slot: killed.slot, number: nowMs < successorFromMs ? 1 : 2 });
    ledger.arrived('first', event);
  }
  const { triggers, kills } = account({
    ...{ ledger, triggers: [{ name: 'first', isOrdered: true, isAlone: true }], appended: [[1, 2, 3, 4]] },
    ...{
      deadLettered: new Map(),
      exposures: [],
      kills: [],
      retried: new Map(),
      retriesTwice: new Map(),
    },
    ...more(ledger),
  });
  const [first] = triggers;
  if (first === undefined) throw new Error('there is no account of the trigger');
  return { ...first, kills };
}

/** These events were unsettled when a process was killed and its partition went to another one. */
function exposed(atMs: number, ...events: number[]): Pick<Evidence, 'exposures'> {
  const attempts = new Map(events.map((event) => [event, [1]]));
  const unsettled = { triggers: ['first'], isRetry: false, events: attempts };
  return { exposures: [{ atMs, cause: 'kill', from: killed, ...unsettled }] };
}

t.test('an event that neither arrived nor is a dead letter is missing', async (t) => {
  const { delivered, missing, deadLettered } = accountOf([1, 3], () => ({
    deadLettered: new Map([['first', new Set([4])]]),
  }));
  t.same({ delivered, missing, deadLettered }, { delivered: 2, missing: [2], deadLettered: 1 });
});

t.test('an event that was not answered 202 is not missed', async (t) => {
  const { missing } = accountOf([1, 2, 3, 4], (ledger) => {
    ledger.sending(5, null);
    return {};
  });
  t.same(missing, []);
});

t.test('an event that arrived twice for no reason is unexplained', async (t) => {
  const { duplicates, unexplained } = accountOf([1, 2, 3, 4, 2]);
  t.same({ duplicates, unexplained }, { duplicates: 1, unexplained: [2] });
});

t.test('what stands in the log twice may arrive twice, and not more often', async (t) => {
  const { unexplained, causes } = accountOf([1, 2, 3, 4, 2, 3, 3], () => ({ appended: [[1, 2, 2, 3, 3, 4]] }));
  t.same(unexplained, [3]);
  t.same([...causes], [['sent-twice', 2]]);
});

t.test('a kill explains that what was unsettled and begun before it arrives again after it', async (t) => {
  const arrivals = [1, 2, 3, 4, 1, 2];
  t.same(accountOf(arrivals, () => exposed(104.5, 1, 2)).unexplained, []);
  t.same(accountOf(arrivals, () => exposed(104.5, 1)).unexplained, [2], 'one was committed as settled');
  t.same(accountOf(arrivals, () => exposed(110, 1, 2)).unexplained, [1, 2], 'all arrivals were before the kill');
  t.same(accountOf(arrivals, () => exposed(100.5, 1, 2), 100.5).unexplained, [1, 2], 'it had begun none');
  const spilled = new Map([
    [1, 1],
    [2, 1],
  ]);
  const retried = new Map([['first', spilled]]);
  t.same(
    accountOf(arrivals, () => ({ ...exposed(100.5, 1, 2), retried }), 100.5).unexplained,
    [],
    'they were in the retry topic',
  );
  t.same(accountOf([...arrivals, 1], () => exposed(104.5, 1, 2)).unexplained, [1], 'one was repeated twice');
});

t.test('a request is of the process that sent it, whenever it is read', async (t) => {
  const arrivals = [1, 2, 3, 4, 2];
  t.same(
    accountOf(arrivals, () => exposed(101.5, 2), 102.5).unexplained,
    [],
    'read after its partition had changed hands',
  );
  t.same(accountOf(arrivals, () => exposed(101.5, 2), 101.7).unexplained, [2], 'both are of the next process');
});

t.test('a process is told by the address from which it calls', async (t) => {
  t.same(callerAt('127.11.0.2'), { slot: 1, number: 1 });
  t.same(callerAt('127.14.1.251'), { slot: 4, number: 500 });
});

t.test('a delivery that only waited for its next attempt is not repeated by a kill', async (t) => {
  const waiting = (attempt: number): Pick<Evidence, 'exposures'> => ({
    exposures: [
      {
        ...{ atMs: 104.5, cause: 'kill', from: killed, triggers: ['first'], isRetry: true },
        events: new Map([[2, [attempt]]]),
      },
    ],
  });
  const arrivals = [1, 2, 3, 4, 2];
  t.same(accountOf(arrivals, () => waiting(1)).unexplained, [], 'its attempt had been sent');
  t.same(accountOf(arrivals, () => waiting(2)).unexplained, [2]);
  const passedOn = { ...waiting(2), retried: new Map([['first', new Map([[2, 3]])]]) };
  t.same(accountOf(arrivals, () => passedOn).unexplained, [], 'there is a record for the attempt after it');
});

t.test('at a kill it counts what was in flight, what was not committed, and what of it was repeated', async (t) => {
  const { exposures } = exposed(104.5, 1, 2, 4);
  const { kills } = accountOf([1, 2, 3, 4, 1], () => ({
    exposures,
    kills: [{ life: exposures[0]?.from ?? killed, atMs: 104.2, open: [{ trigger: 'first', event: 4 }] }],
  }));
  const [kill] = kills;
  t.match(kill, { slot: 1, atMs: 104.2, inFlight: 1, settledUncommitted: 2, repeated: 1 });
  t.equal(kill?.repeatedAlone.get('first'), 1);
});

t.test('what comes again as its partition had been given up before is not repeated for the kill', async (t) => {
  const repeatedAlone = (givenUpMs: number): number | undefined => {
    const [kill] = exposed(104.5, 1, 2).exposures;
    const [before] = exposed(givenUpMs, 1, 2).exposures;
    if (!kill || !before) throw new Error('there are no exposures');
    const evidence = {
      exposures: [{ ...before, cause: 'rebalance' as const }, kill],
      kills: [{ life: killed, atMs: 104.2, open: [] }],
    };
    return accountOf([1, 2, 3, 4, 1, 2], () => evidence, 104.6).kills[0]?.repeatedAlone.get('first');
  };
  t.equal(repeatedAlone(102.5), 0);
  t.equal(repeatedAlone(101.5), 1, 'one was sent since');
  t.equal(repeatedAlone(100.5), 2, 'both were');
});

t.test('an answer that came too late explains a repetition; one that was held back on purpose does not', async (t) => {
  const late = (timedOut: number, leftToTimeOut: number) =>
    accountOf([1, 2, 3, 4, 2], (ledger) => {
      for (let i = 0; i < timedOut; i++) ledger.countTimedOut('first', 2);
      for (let i = 0; i < leftToTimeOut; i++) ledger.countLeftToTimeOut('first', 2);
      return {};
    }).unexplained;
  t.same(late(1, 0), []);
  t.same(late(1, 1), [2]);
  const twice = { appended: [[1, 2, 2, 3, 4]] };
  const heldBack = accountOf([1, 2, 3, 4, 2], (ledger) => {
    ledger.countLeftToTimeOut('first', 2);
    return twice;
  });
  t.same(heldBack.unexplained, [], 'and takes nothing from other reasons');
});

t.test('order is that of the log, by the first arrivals of a key', async (t) => {
  t.match(accountOf([1, 3, 2, 4]), { outOfOrder: [3], overtaken: [2] });
  t.same(accountOf([1, 2, 3, 2, 1, 4]).outOfOrder, [], 'a repetition changes nothing');
  const twoPartitions = {
    appended: [
      [1, 3],
      [2, 4],
    ],
  };
  t.same(accountOf([2, 1, 4, 3], () => twoPartitions).outOfOrder, [], 'between partitions there is none');
});

t.test('who was refused and dead-lettered before the next came has kept its place, whatever is repeated', async (t) => {
  const letters = { deadLettered: new Map([['first', new Set([2])]]) };
  const refusedFirst = (evidence: Partial<Evidence>) =>
    accountOf([1, { refused: 2 }, 3, 2, 4], () => evidence).outOfOrder;
  t.same(refusedFirst(letters), []);
  t.same(refusedFirst({}), [3], 'its dead letter is what lets the next one pass');
  t.same(accountOf([1, 3, { refused: 2 }, 2, 4], () => letters).outOfOrder, [3]);
  t.same(
    accountOf([1, 3, { refused: 2 }, 4], () => letters).outOfOrder,
    [3],
    'and one that never arrives has its place too',
  );
});

t.test('the longest silence is the longest time in which something waited and nothing arrived', async (t) => {
  const { longestSilence } = accountOf([1, 2, 3, 4]);
  t.ok(longestSilence.ms > 100 && longestSilence.ms < 102, 'from the first event until it arrived');
  t.ok(longestSilence.fromMs < 1);
});
