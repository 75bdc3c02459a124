import t from 'tap';
import { brokerTopics } from '../../broker/topics.ts';
import { Offsets } from '../../dispatcher/settle.ts';
import { Ledger, sendNumbered } from '../support/ledger.ts';
import { type LogUnderTest, onBothLogs } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { seeded } from '../support/random.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const events = Number(process.env.LEDGER_EVENTS ?? 20_000);
const kills = 5;
const triggers = ['first', 'second', 'third'];
const { seed, random } = seeded();

onBothLogs(`${events} events to 3 triggers over ${kills} SIGKILLs: none is missing`, async (t, log) => {
  const ledger = new Ledger();
  const sinks = await Promise.all(triggers.map((name) => ledger.startSink(name)));
  t.teardown(() => Promise.all(sinks.map((sink) => sink.close())));
  let posthorn: PosthornProcess = await startPosthorn(log.args);
  t.teardown(() => posthorn.kill());
  await applyTo(posthorn.adminUrl, ...triggers.map((name, index) => triggerYaml(name, sinks[index]?.url ?? '')));

  const arrivals = () => ledger.arrivals.get('first') ?? new Map<number, number>();
  const share = Math.floor(events / (kills + 1));
  const moments: number[] = [];
  /** By event: how many arrivals more than one the kills may lead to at the first trigger. */
  const exposed = new Map<number, number>();
  for (let kill = 1; kill <= kills; kill++) {
    // Counted in arrivals, so that each kill comes while events are being sent and delivered.
    const moment = (kill - 1) * share + 1 + Math.floor(random() * share * 0.9);
    const sending = sendNumbered(ledger, { first: (kill - 1) * share + 1, last: kill * share }, () => posthorn.url);
    await until(() => arrivals().size >= moment, `${moment} events to arrive`, 120_000);
    await posthorn.kill();
    moments.push(moment);
    for (const [event, deliveries] of await unsettledEvents(log)) {
      // What was taken over by the retry topic, and that not committed, stands in both lanes and arrives from both.
      const repeated = arrivals().has(event) ? deliveries : deliveries - 1;
      exposed.set(event, (exposed.get(event) ?? 0) + repeated);
    }
    posthorn = await startPosthorn(log.args);
    await sending;
  }
  await sendNumbered(ledger, { first: kills * share + 1, last: events }, () => posthorn.url);
  t.equal(ledger.accepted.size, events);
  const missing = () => triggers.reduce((sum, name) => sum + ledger.missingAt(name).length, 0);
  await until(() => missing() === 0, 'every event to arrive at every trigger', 120_000);
  for (const name of triggers) t.same(ledger.missingAt(name), [], `none missing at ${name}`);

  t.equal(await posthorn.stop(), 0, 'ends cleanly');

  // What was sent again because a kill cost the sender its answer stands in the log twice.
  const appended = countsOf(await readEvents(log, topics(log).events, topics(log).sharedGroup, () => true));
  const sentTwice = sum(appended.values()) - events;
  const duplicates = ledger.duplicatesAt('first') - sentTwice;
  t.comment(
    `seed ${seed}; killed after ${moments.join(', ')} arrivals; duplicates at the first trigger ${duplicates} ` +
      `(and ${sentTwice} sent twice); in flight or settled since the last commit, at all kills together ` +
      `${sum(exposed.values())}`,
  );
  const unexplained = [...arrivals()].filter(
    ([event, count]) => count > (appended.get(event) ?? 0) + (exposed.get(event) ?? 0),
  );
  t.same(unexplained, [], 'repeated is at most what was in flight or settled since the last commit, event by event');
});

t.test('the seed of a run can be given', async (t) => {
  t.same(seeded('7').random(), seeded('7').random());
});

const topics = (log: LogUnderTest) => brokerTopics(log.prefix, { namespace: 'default', name: 'default' });

/** By event: how many deliveries to the first trigger are not committed as settled, over both lanes. */
async function unsettledEvents(log: LogUnderTest): Promise<Map<number, number>> {
  const { events, sharedGroup, retry, retryGroup } = topics(log);
  const take = (offset: number, committed: Offsets) => committed.take(offset);
  const shared = await readEvents(log, events, sharedGroup, take);
  return countsOf([...shared, ...(await readEvents(log, retry('first'), retryGroup(0), take))]);
}

function countsOf(events: readonly number[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const event of events) counts.set(event, (counts.get(event) ?? 0) + 1);
  return counts;
}

function sum(counts: Iterable<number>): number {
  let total = 0;
  for (const count of counts) total += count;
  return total;
}

/** The numbers of the events in a topic that are wanted, by offset and what the group has committed of the partition. */
async function readEvents(
  log: LogUnderTest,
  topic: string,
  group: string,
  isWanted: (offset: number, committed: Offsets) => boolean,
): Promise<number[]> {
  const opened = await log.open();
  const numbers: number[] = [];
  const commits = await opened.committed(group, topic);
  for (const { partition, start, end } of await opened.ranges(topic)) {
    const commit = commits.find((one) => one.partition === partition) ?? { offset: start, metadata: '' };
    const committed = new Offsets(commit, end);
    for (let offset = start; offset < end; ) {
      const { records, nextOffset } = await opened.read(topic, partition, offset, 1_048_576);
      for (const record of records) {
        if (isWanted(record.offset, committed)) numbers.push(Number(record.headers.ce_id));
      }
      offset = nextOffset;
    }
  }
  await opened.close();
  return numbers;
}
