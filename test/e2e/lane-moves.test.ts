import t, { type Test } from 'tap';
import { Ledger, sendNumbered } from '../support/ledger.ts';
import { embeddedUnderTest, type LogUnderTest, onBothLogs } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { seeded } from '../support/random.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const shared = {};
const ordered = { 'kafka.eventing.knative.dev/delivery.order': 'ordered' };
const own = { 'posthorn.dev/consumer-group': 'own' };

t.test('a trigger that moves there and back faster than lanes begin, and a kill, misses nothing', async (t) => {
  const stage = await startStage(t, await embeddedUnderTest(t), 1);
  for (const annotations of [own, ordered, shared]) {
    await stage.more(20);
    await stage.apply(annotations);
  }
  // In the middle of going back.
  await stage.restart();
  await stage.more(20);
  await stage.apply(own);
  await stage.more(20);
  await stage.end();
});

onBothLogs('a trigger that moves at random, through kills, misses nothing', async (t, log) => {
  const { seed, random } = seeded();
  t.comment(`seed ${seed}`);
  const processes = log.kind === 'kafka' ? 2 : 1;
  const stage = await startStage(t, log, processes);
  const steps: string[] = [];
  const moves = propertyRuns(log.kind === 'kafka' ? 6 : 12, 100);
  for (let i = 0; i < moves; i++) {
    const lane = Math.floor(random() * 3);
    const applying = stage.apply([shared, own, ordered][lane] ?? shared, Math.floor(random() * processes));
    // Some moves follow at once, others when all processes know; one that is killed meanwhile may not have taken place.
    const awaited = random() < 0.5;
    if (awaited) await applying;
    else applying.catch(() => {});
    const events = Math.floor(random() ** 3 * 400);
    await stage.more(events);
    const isKill = random() < 0.25;
    steps.push(`${['shared', 'own', 'ordered'][lane]}${awaited ? '' : ', not awaited'}; ${events} events`);
    if (!isKill) continue;
    await stage.restart(Math.floor(random() * processes));
    steps.push('kill');
  }
  t.comment(steps.join(' | '));
  await stage.end();
});

/** Events that are sent all the time to a trigger that moves, and to one that does not. */
async function startStage(t: Test, log: LogUnderTest, count: number) {
  const ledger = new Ledger();
  const [moving, still] = [await ledger.startSink('moving'), await ledger.startSink('still')];
  t.teardown(() => Promise.all([moving.close(), still.close()]));
  const processes: PosthornProcess[] = [];
  const start = async (n: number): Promise<void> => {
    const posthorn = await startPosthorn([...log.args]);
    t.teardown(() => posthorn.kill());
    processes[n] = posthorn;
  };
  for (let n = 0; n < count; n++) await start(n);
  const at = (n: number): PosthornProcess => processes[n % count] as PosthornProcess;
  const yaml = (annotations: Record<string, string>) => triggerYaml('moving', moving.url, { annotations });
  await applyTo(at(0).adminUrl, yaml(shared), triggerYaml('still', still.url));
  const enough = new AbortController();
  let turn = 0;
  const sending = sendNumbered(ledger, { first: 1, last: Number.MAX_SAFE_INTEGER }, () => at(turn++).url, {
    concurrency: 4,
    signal: enough.signal,
  });
  return {
    apply: (annotations: Record<string, string>, n = 0) => applyTo(at(n).adminUrl, yaml(annotations)),
    /** Waits until so many more are accepted. */
    async more(events: number): Promise<void> {
      const goal = ledger.accepted.size + events;
      await until(() => ledger.accepted.size >= goal, `${goal} to be accepted`, 60_000);
    },
    async restart(n = 0): Promise<void> {
      await at(n).kill();
      await start(n);
    },
    async end(): Promise<void> {
      enough.abort();
      await sending;
      const missing = () => [...ledger.missingAt('moving'), ...ledger.missingAt('still')];
      await until(() => missing().length === 0, 'every event to arrive at both', 120_000).catch((error: Error) => {
        throw new Error(`${error.message}: missing at the one that moved ${ledger.missingAt('moving')}`);
      });
      t.same(missing(), []);
      const [moved, stood] = [ledger.duplicatesAt('moving'), ledger.duplicatesAt('still')];
      t.comment(`${ledger.accepted.size} events; repeated at the one that moved ${moved}, at the other ${stood}`);
      for (const posthorn of processes) t.equal(await posthorn.stop(), 0);
    },
  };
}
