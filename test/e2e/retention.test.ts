import type { Test } from 'tap';
import { openEmbeddedLog } from '../../broker/log/embedded/embedded-log.ts';
import type { Log } from '../../broker/log/log.ts';
import { toRecord } from '../../event/kafka.ts';
import { testEvent } from '../support/events.ts';
import { Ledger, sendNumbered } from '../support/ledger.ts';
import { type LogUnderTest, onBothLogs } from '../support/logs.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { silent } from '../support/silent.ts';
import { startSink } from '../support/sink.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** `one` in the shared lane, `two` in its own. */
function triggers(url: string): string[] {
  const annotations = { 'posthorn.dev/consumer-group': 'own' };
  return [triggerYaml('one', `${url}/one`), triggerYaml('two', `${url}/two`, { annotations })];
}

onBothLogs('an event that is soon deleted undelivered is a warning and a metric of its triggers', async (t, log) => {
  const sink = await startSink(() => new Promise(() => {}));
  t.teardown(() => sink.close());
  const first = await started(t, log);
  await applyTo(first.adminUrl, ...triggers(sink.url));
  t.equal(await first.stop(), 0);
  await withLog(log, async (opened) => {
    const record = toRecord(testEvent({ id: 'old' }));
    await opened.append(eventsTopic(log), 3, [{ ...record, timestampMs: Date.now() - 7 * dayMs + hourMs }]);
  });

  const second = await started(t, log);
  const warnings = () => second.lines.filter(({ msg }) => String(msg).startsWith('the oldest undelivered event'));
  await until(() => warnings().length === 2, 'both triggers are warned of', 120_000);
  const about = { level: 'warn', broker: 'default/default', topic: eventsTopic(log), partition: 3, event: 'old' };
  t.match(
    warnings().sort((a, b) => (String(a.trigger) < String(b.trigger) ? -1 : 1)),
    [
      { ...about, trigger: 'one' },
      { ...about, trigger: 'two' },
    ],
  );
  for (const trigger of ['one', 'two']) {
    const left = await metric(second.adminUrl, 'posthorn_trigger_retention_left_seconds', { trigger });
    t.ok(left > 3_400 && left < 3_600, `${left} s left for ${trigger}`);
  }
  const metrics = await (await fetch(`${second.adminUrl}/metrics`)).text();
  t.match(metrics, /^posthorn_lost_records_total\{.*partition="3"\} 0$/m, 'there at 0, so that an increase is seen');
});

onBothLogs('a range that the log deleted undelivered is told as lost, and the rest goes on', async (t, log) => {
  const events = 20;
  let isWell = false;
  const sink = await startSink(() => (isWell ? {} : new Promise(() => {})));
  t.teardown(() => sink.close());
  const first = await started(t, log);
  await applyTo(first.adminUrl, ...triggers(sink.url));
  await sendNumbered(new Ledger(), { first: 1, last: events }, () => first.url);
  await until(() => sink.requests.length === 2 * events, 'all are in flight to both');
  await first.kill();
  await deleteEvents(log);

  isWell = true;
  const second = await started(t, log);
  await sendNumbered(new Ledger(), { first: events + 1, last: events + 1 }, () => second.url);
  const arrived = () => sink.requests.slice(2 * events).map(({ path, headers }) => `${path} ${headers['ce-id']}`);
  await until(() => arrived().length === 2, 'what came later is delivered', 60_000);
  t.same(arrived().sort(), [`/one ${events + 1}`, `/two ${events + 1}`]);
  for (const name of ['one', 'two']) {
    const isOf = ({ msg, triggers }: Record<string, unknown>): boolean => {
      return String(msg).startsWith('LOST') && String(triggers) === name;
    };
    const lost = () => second.lines.filter(isOf);
    const records = () => lost().reduce((sum, { from, to }) => sum + Number(to) - Number(from), 0);
    await until(() => records() >= events, `those for ${name} are told`);
    t.equal(records(), events, 'once');
    t.match(lost()[0], { level: 'error', broker: 'default/default', topic: eventsTopic(log) });
    const groups = new Set(lost().map(({ group }) => String(group)));
    t.match([...groups], [name === 'one' ? /\.default\.default$/ : /\.default\.default\.two\./]);
    t.equal(await metric(second.adminUrl, 'posthorn_lost_records_total', { group: [...groups].join() }), events);
  }
  t.equal(await second.stop(), 0);
});

/** Time passes on the embedded log, so that its retention does it; on Kafka, whose time is its own, by a trim. */
async function deleteEvents(log: LogUnderTest): Promise<void> {
  const topic = eventsTopic(log);
  if (log.kind === 'kafka') {
    await withLog(log, async (opened) => {
      for (const { partition, end } of await opened.ranges(topic)) await opened.trim(topic, partition, end);
    });
    return;
  }
  const directory = log.args[log.args.indexOf('--data') + 1] ?? '';
  const inEightDays = new ManualClock(Date.now() + 8 * dayMs);
  const opened = await openEmbeddedLog({ directory, clock: inEightDays, logger: silent });
  await until(async () => (await opened.ranges(topic)).every(({ start, end }) => start === end), 'all are deleted');
  await opened.close();
}

async function withLog(log: LogUnderTest, task: (opened: Log) => Promise<void>): Promise<void> {
  const opened = await log.open();
  await task(opened).finally(() => opened.close());
}

function eventsTopic(log: LogUnderTest): string {
  return `${log.prefix}.default.default`;
}

async function started(t: Test, log: LogUnderTest): Promise<PosthornProcess> {
  const posthorn = await startPosthorn(log.args);
  t.teardown(() => posthorn.kill());
  return posthorn;
}
