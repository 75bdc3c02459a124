import { pino } from 'pino';
import t from 'tap';
import { registryFreshMs } from '../../broker/trigger/registry.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';
import { applyTexts, brokerText, openLog, pass, type SharedLog, shared, startBrokers, triggerText } from './setup.ts';

t.test('what one process applies, the others meet before apply returns', async (t) => {
  const clock = new ManualClock();
  const log = await openLog(t);
  const lines = [shared(log), shared(log)] as const;
  const here = await startBrokers(t, lines[0].log, { clock });
  const there = await startBrokers(t, lines[1].log, { clock });
  let returned = false;
  const applying = applyTexts(here, [triggerText('a')]).finally(() => {
    returned = true;
  });
  const registry = there.get('default', 'default');
  let passedMs = 0;
  while (!returned) {
    await pass(clock, 50, ...lines);
    passedMs += 50;
    if (registry?.snapshot().triggers.size === 0) t.notOk(returned, 'not before the other process has it');
    if (passedMs > 60_000) throw new Error('apply did not return');
  }
  await applying;
  t.equal(registry?.snapshot().triggers.size, 1);
  t.ok(passedMs >= registryFreshMs, `${passedMs} ms`);
});

t.test('a broker made in one process is found by the others before apply returns', async (t) => {
  const clock = new ManualClock();
  const log = await openLog(t);
  const lines = [shared(log), shared(log)] as const;
  const here = await startBrokers(t, lines[0].log, { clock });
  const there = await startBrokers(t, lines[1].log, { clock });
  let changes = 0;
  there.onChange(() => changes++);
  await passing(clock, lines, applyTexts(here, [brokerText('shop'), triggerText('a', { broker: 'shop' })]));
  t.equal(there.get('default', 'shop')?.snapshot().triggers.size, 1);
  t.equal(changes, 1);
});

t.test('an apply counts with what another process applied just before', async (t) => {
  const clock = new ManualClock();
  const log = await openLog(t);
  const lines = [shared(log), shared(log)] as const;
  const here = await startBrokers(t, lines[0].log, { clock });
  const there = await startBrokers(t, lines[1].log, { clock });
  const texts = [brokerText('shop'), triggerText('a', { broker: 'shop' })];
  const [one, two] = await Promise.allSettled([
    passing(clock, lines, applyTexts(here, texts, { owner: 'here' })),
    applyTexts(there, texts, { owner: 'there' }),
  ]);
  const failed = [one, two].filter((result) => result.status === 'rejected');
  t.match(failed, [{ reason: { code: /APPLY_CONFLICT|APPLY_REFUSED/ } }], 'one of the two owners, never both');
  const owner = (brokers: typeof here) => brokers.get('default', 'shop')?.stored().triggers.get('a')?.owner;
  t.equal(owner(here), owner(there));
});

t.test('where the log cannot be reached the registry is fresh for 3 s and no longer', async (t) => {
  const clock = new ManualClock();
  const line = shared(await openLog(t));
  const lines: string[] = [];
  const logger = pino({}, { write: (text: string) => void lines.push(text) });
  const brokers = await startBrokers(t, line.log, { clock, logger });
  const registry = brokers.get('default', 'default');
  await pass(clock, 10_000, line);
  t.equal(registry?.isFresh(), true, 'checked again and again');

  line.isCut = true;
  await pass(clock, registryFreshMs - 1_051, line);
  t.equal(registry?.isFresh(), true, 'the last check vouches for 3 s');
  await pass(clock, 1_051, line);
  t.equal(registry?.isFresh(), false);
  const aborting = new AbortController();
  const given = t.rejects(registry?.whenFresh(aborting.signal) ?? Promise.resolve(), { message: 'enough' });
  aborting.abort(new Error('enough'));
  await given;

  let fresh = false;
  const waiting = registry?.whenFresh().then(() => {
    fresh = true;
  });
  await pass(clock, 60_000, line);
  t.equal(fresh, false);
  const said = lines.map((text) => (JSON.parse(text) as { msg: string }).msg).filter((msg) => /registry/.test(msg));
  t.equal(said.length, 1, 'said once, not at every try');

  line.isCut = false;
  await pass(clock, 5_000, line);
  await waiting;
  t.equal(registry?.isFresh(), true);
});

t.test('an apply while the log cannot be reached fails, and leaves nothing waiting', async (t) => {
  const clock = new ManualClock();
  const line = shared(await openLog(t));
  const brokers = await startBrokers(t, line.log, { clock });
  line.isCut = true;
  await t.rejects(applyTexts(brokers, [triggerText('a')]), { code: 'LOG_UNAVAILABLE' });
  line.isCut = false;
  await passing(clock, [line], applyTexts(brokers, [triggerText('a')]));
  t.equal(brokers.get('default', 'default')?.snapshot().triggers.size, 1);
});

t.test('close ends whoever waits, and leaves no timer', async (t) => {
  const clock = new ManualClock();
  const line = shared(await openLog(t));
  const brokers = await startBrokers(t, line.log, { clock });
  const registry = brokers.get('default', 'default');
  line.isCut = true;
  await pass(clock, 10_000, line);
  const waiting = t.rejects(registry?.whenFresh() ?? Promise.resolve(), { code: 'LOG_UNAVAILABLE' });
  await brokers.close();
  await waiting;
  await t.rejects(registry?.whenFresh() ?? Promise.resolve(), { code: 'LOG_UNAVAILABLE' });
  t.equal(clock.pending, 0);
});

t.test('close does not wait for a log that gives no answer', async (t) => {
  const clock = new ManualClock();
  const line = shared(await openLog(t));
  const brokers = await startBrokers(t, line.log, { clock });
  line.isHeld = true;
  await clock.advance(5_000);
  const applying = applyTexts(brokers, [triggerText('a')]);
  await brokers.close();
  line.isHeld = false;
  await t.rejects(applying, { code: 'LOG_UNAVAILABLE' });
  t.equal(clock.pending, 0);
});

t.test('a registry that was cut short under a running process is not taken for the truth', async (t) => {
  const clock = new ManualClock();
  const log = await openLog(t);
  const line = shared(log);
  const brokers = await startBrokers(t, line.log, { clock });
  await passing(clock, [line], applyTexts(brokers, [triggerText('a')]));
  await log.deleteTopic('posthorn.default.default._triggers');
  await log.ensureTopics(['posthorn.default.default._triggers'], {
    partitions: 1,
    retentionMs: null,
    maxMessageBytes: 1_000_000,
  });
  await pass(clock, 10_000, line);
  const registry = brokers.get('default', 'default');
  t.equal(registry?.snapshot().triggers.size, 1, 'its triggers stay');
  t.equal(registry?.isFresh(), false, 'and nothing is matched until someone has looked');
});

/** Lets the clock run until the promise is settled. */
async function passing<T>(clock: ManualClock, lines: readonly SharedLog[], promise: Promise<T>): Promise<T> {
  let settled = false;
  const watched = promise.finally(() => {
    settled = true;
  });
  watched.catch(() => undefined);
  await until(async () => {
    if (!settled) await pass(clock, 100, ...lines);
    return settled;
  }, 'the apply is done');
  return watched;
}
