import { pino } from 'pino';
import { compileFilter } from '../broker/filter/cesql/cesql.ts';
import { compile } from '../broker/filter/match.ts';
import { TriggerIndex } from '../broker/filter/trigger-index.ts';
import type { Log, LogRecord } from '../broker/log/log.ts';
import { RegistryReader } from '../broker/trigger/registry.ts';
import type { Trigger } from '../broker/trigger/trigger.ts';
import type { CloudEvent } from '../event/event.ts';
import { systemClock } from '../runtime/clock.ts';
import { seeded } from '../test/support/random.ts';
import { median } from './lib/figures.ts';
import { eventsFor, kindOf, numbersTo, revisionOf, triggersOf } from './lib/filter-set.ts';
import type { BenchOptions } from './lib/line.ts';

/** Of the CPU of one thread, in microseconds, at 10,000 triggers that can be indexed. */
const matchMaxUs = 2;
const evaluationsPerSecond = 1_000_000;
const applyMaxMs = 10;

const expression = "type = 'a' AND source LIKE '/x/%'";

interface Sizes {
  /** Numbers of triggers, ascending. */
  readonly counts: readonly number[];
  /** Of each measurement: the kernel counts CPU in steps of 4 ms. */
  readonly measuredSeconds: number;
  readonly events: number;
  readonly evaluations: number;
  readonly applies: number;
  /** Before those that count. */
  readonly warmApplies: number;
}

const full: Sizes = {
  ...{ counts: [1, 1_000, 10_000], measuredSeconds: 0.1, events: 20_000, evaluations: 5_000_000 },
  ...{ applies: 200, warmApplies: 50 },
};
const quick: Sizes = {
  ...{ counts: [1, 200], measuredSeconds: 0.01, events: 2_000, evaluations: 200_000 },
  ...{ applies: 10, warmApplies: 1 },
};

interface Case {
  readonly count: number;
  readonly name: string;
  readonly triggers: readonly Trigger[];
  readonly events: (count: number) => CloudEvent[];
}

type Matcher = (event: CloudEvent) => number;

interface Figures {
  readonly us: number;
  readonly matched: number;
}

/** CPU of finding the triggers of an event, by asking each and by the index, of CESQL, and of applying one trigger. */
export async function filter({ rounds, isQuick, report, signal }: BenchOptions): Promise<void> {
  const { seed, random } = seeded();
  const sizes = isQuick ? quick : full;
  const most = sizes.counts.at(-1) ?? 1;
  const cases = casesOf(sizes.counts, random);
  const results = cases.map(() => ({ naive: [] as Figures[], indexed: [] as Figures[] }));
  const rates: number[] = [];
  // The first round warms the code.
  for (let round = 0; round <= rounds; round++) {
    for (const [n, one] of cases.entries()) {
      signal.throwIfAborted();
      const asked = Math.ceil((100 * sizes.events) / (one.count + 99));
      const naive = measure(naiveOf(one.triggers), one.events, asked, sizes.measuredSeconds);
      const indexed = measure(indexedOf(one.triggers), one.events, sizes.events, sizes.measuredSeconds);
      if (naive.matched === 0 || indexed.matched === 0) throw new Error(`${one.name}: nothing matched`);
      if (round > 0) results[n]?.naive.push(naive);
      if (round > 0) results[n]?.indexed.push(indexed);
    }
    const rate = evaluationRate(sizes.evaluations, random);
    if (round > 0) rates.push(rate);
  }
  report.say(
    `CPU of one thread, medians of ${rounds} rounds, seed ${seed}. Of the triggers 80 % ask for a type, 10 % also for a\n` +
      'prefix of the source, 5 % in CESQL for a type and a prefix, and 5 % for what no index finds (an extension, in CESQL).\n' +
      'Each has a type of its own, but those with a prefix: ten of these share a type and ask for ten regions. Each event\n' +
      'is made for one of the indexable triggers, and decoded anew each time, so that none of its strings was looked up before.\n',
  );
  const rows = cases.map(({ count, name, triggers }, n) => {
    const of = (how: 'naive' | 'indexed') => median((results[n]?.[how] ?? []).map(({ us }) => us));
    const matched = median((results[n]?.indexed ?? []).map(({ matched }) => matched));
    const { unindexed } = new TriggerIndex(triggers);
    return { name, count, unindexed, matched, naive: of('naive'), indexed: of('indexed') };
  });
  const column = 'indexed, µs an event';
  report.table(
    [
      { name: 'triggers' },
      { name: '', isName: true },
      { name: 'unindexed' },
      { name: 'matched an event', digits: 2 },
      { name: 'naive, µs an event', digits: 2 },
      { name: column, digits: 2, isCharted: true },
    ],
    rows.map(({ name, count, unindexed, matched, naive, indexed }) => [
      ...[String(count), name, unindexed, matched, naive, indexed],
    ]),
  );
  const worst = rows.findLast(({ name }) => name === indexable);
  const rate = median(rates);
  const { meanMs: applied, startMs } = await applyOnes(most, sizes);
  report.say(
    `\nFrom the reading of revisions to the first match by them: ${most} at a start ${startMs.toFixed(0)} ms of CPU, ` +
      `one among ${most} ${applied.toFixed(1)} ms (mean of ${sizes.applies}).\n`,
  );
  const marks = [{ column, row: `${worst?.count}, ${indexable}`, at: matchMaxUs }];
  report.target(
    `matching at ${most} triggers, the indexable ones alone, µs`,
    worst?.indexed ?? Number.NaN,
    { atMost: matchMaxUs },
    { digits: 2, marks },
  );
  report.target(
    `CESQL ${expression}, million/s of one core`,
    rate / 1e6,
    { atLeast: evaluationsPerSecond / 1e6 },
    { digits: 1 },
  );
  report.target(`applying one of ${most}, ms of CPU`, applied, { atMost: applyMaxMs }, { digits: 1 });
}

const indexable = 'indexable ones alone';

function casesOf(counts: readonly number[], random: () => number): Case[] {
  const most = counts.at(-1) ?? 1;
  const alone = (n: number): boolean => kindOf(n) !== 'unindexable';
  const cases: Case[] = [];
  for (const count of counts) {
    const [without, withShard] = [eventsFor(count, random, false), eventsFor(count, random, true)];
    const triggers = triggersOf(count, alone);
    cases.push({ count: triggers.length, name: indexable, triggers, events: withShard });
    if (count === 1) continue;
    const all = triggersOf(count, () => true);
    cases.push({ count, name: 'all, events with the extension', triggers: all, events: withShard });
    cases.push({ count, name: 'all, events without it', triggers: all, events: without });
  }
  const name = 'one type, a prefix of the source each';
  const oneType = triggersOf(most, alone, (n) => [
    { exact: { type: 'com.example.exact.v7' } },
    { prefix: { source: n === 7 ? '/region-7/' : `/region-7/shop-${n}/` } },
  ]);
  const events = eventsFor(most, () => (7 + 0.5) / (0.95 * most), false);
  cases.push({ count: oneType.length, name, triggers: oneType, events });
  return cases;
}

function naiveOf(triggers: readonly Trigger[]): Matcher {
  const predicates = triggers.map(({ filters }) => compile(filters));
  return (event) => {
    let matched = 0;
    for (const passes of predicates) if (passes(event)) matched++;
    return matched;
  };
}

function indexedOf(triggers: readonly Trigger[]): Matcher {
  const index = new TriggerIndex(triggers);
  return (event) => index.match(event).length;
}

function measure(matcher: Matcher, makeEvents: Case['events'], count: number, measuredSeconds: number): Figures {
  // The index is built when it is first asked.
  for (const event of makeEvents(1)) matcher(event);
  let [seconds, done, matched] = [0, 0, 0];
  while (seconds < measuredSeconds) {
    const events = makeEvents(count);
    seconds += cpuSeconds(() => {
      for (const event of events) matched += matcher(event);
    });
    done += count;
  }
  return { us: (1e6 * seconds) / done, matched: matched / done };
}

/** Evaluations a second of CPU, of events of which half have the type, and half of those the source. */
function evaluationRate(evaluations: number, random: () => number): number {
  const { passes } = compileFilter(expression);
  const attributes = eventsFor(
    1_000,
    random,
    false,
  )(1_000).map(({ attributes }, n) => ({
    ...attributes,
    type: n % 2 === 0 ? 'a' : attributes.type,
    source: n % 4 === 0 ? '/x/1' : attributes.source,
  }));
  let passed = 0;
  const repeats = evaluations / attributes.length;
  const seconds = cpuSeconds(() => {
    for (let n = 0; n < repeats; n++) for (const one of attributes) if (passes(one)) passed++;
  });
  if (passed !== (repeats * attributes.length) / 4) throw new Error(`${passed} events passed ${expression}`);
  return (repeats * attributes.length) / seconds;
}

/** Of this thread, so that the collector's other threads, which clear up after the making of events, don't count. */
function cpuSeconds(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  return cpuSecondsSince(before);
}

function cpuSecondsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1e6;
}

/** Applies triggers among many, one after the other, through a registry whose log is in memory. */
async function applyOnes(most: number, { applies, warmApplies }: Sizes): Promise<{ meanMs: number; startMs: number }> {
  const records = numbersTo(most).map((n) => revisionOf(n, n));
  const registry = new RegistryReader({
    log: memoryLog(records),
    prefix: 'bench',
    name: { namespace: 'default', name: 'default' },
    clock: systemClock,
    logger: pino({ level: 'silent' }),
  });
  const event: CloudEvent = { attributes: { specversion: '1.0', id: '1', source: '/', type: 'new' }, data: undefined };
  const began = process.threadCpuUsage();
  await registry.start();
  registry.snapshot().index.match(event);
  const startMs = 1_000 * cpuSecondsSince(began);
  let seconds = 0;
  for (let n = 0; n < warmApplies + applies; n++) {
    const changed = (n * 997) % most;
    const filters = [{ exact: { type: 'new', source: `/${n}` } }];
    records.push(revisionOf(changed, records.length, filters));
    const before = process.threadCpuUsage();
    await registry.refresh();
    registry.snapshot().index.match(event);
    if (n >= warmApplies) seconds += cpuSecondsSince(before);
    const applied = { ...event, attributes: { ...event.attributes, source: `/${n}` } };
    if (registry.snapshot().index.match(applied).length !== 1) throw new Error('what was applied does not match');
  }
  registry.close();
  return { meanMs: (1_000 * seconds) / applies, startMs };
}

function memoryLog(records: readonly LogRecord[]): Log {
  return {
    sharedByProcesses: false,
    ends: async () => [{ partition: 0, offset: records.length }],
    read: async (_topic: string, _partition: number, from: number) => {
      const read = records.slice(from, from + 2_000);
      return { records: read, nextOffset: from + read.length };
    },
  } as unknown as Log;
}
