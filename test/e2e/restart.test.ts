import type { Test } from 'tap';
import { brokerTopics } from '../../broker/topics.ts';
import { appendNumbered } from '../support/backlog.ts';
import { killUntilRead } from '../support/kill-until-read.ts';
import { type LogUnderTest, onBothLogs } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { seeded } from '../support/random.ts';
import { startSink } from '../support/sink.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { numberOf, unsettledRecords } from '../support/unsettled.ts';
import { until } from '../support/until.ts';

const events = 20_000;
const handlerMs = 5;
/** What a SIGKILL may repeat of one trigger at default settings. */
const repeatedMax = 256;
const { seed, random } = seeded();

onBothLogs(`${events} events, SIGKILL in the middle: at most ${repeatedMax} are repeated`, async (t, log) => {
  const handler = await startHandler(t);
  const { events: topic, sharedGroup } = brokerTopics(log.prefix, { namespace: 'default', name: 'default' });
  // The whole backlog is there before it is read, so that the kill meets deliveries at full speed.
  const first = await started(t, log);
  await applyTo(first.adminUrl, triggerYaml('handler', handler.url));
  await first.stop();
  await withLog(log, (opened) => appendNumbered(opened, topic, { first: 1, last: events }));

  const killAt = Math.floor(events * (0.3 + 0.4 * random()));
  const victim = await started(t, log);
  const beganMs = performance.now();
  await until(() => handler.arrived.size >= killAt, `${killAt} events to arrive`, 120_000);
  const tookMs = performance.now() - beganMs;
  const killed = killUntilRead(victim);
  const answered = handler.answered.size;
  await killed;
  const inFlight = handler.arrived.size - answered;
  const unsettled = await withLog(log, (opened) => unsettledRecords(opened, sharedGroup, topic));
  const exposed = unsettled.filter((record) => handler.arrived.has(numberOf(record))).length;

  const successor = await started(t, log);
  await until(() => handler.arrived.size === events, 'every event to arrive', 120_000);
  await until(() => handler.answered.size === events, 'every event to be answered');
  t.equal(await successor.stop(), 0);
  t.comment(
    `seed ${seed}; killed after ${killAt} arrivals at ${Math.round((killAt / tookMs) * 1_000)}/s; in flight ${inFlight}, ` +
      `settled since the last acknowledged commit ${exposed - inFlight}, repeated ${handler.repeated}`,
  );
  t.ok(exposed > 0, 'the kill met deliveries in flight');
  t.ok(handler.repeated <= exposed, 'repeated is at most what was in flight or settled since the last commit');
  t.ok(handler.repeated <= repeatedMax, `${handler.repeated} were repeated`);
});

/** A subscriber that takes 5 ms for an event. */
async function startHandler(t: Test) {
  const arrived = new Set<number>();
  const answered = new Set<number>();
  let repeated = 0;
  const sink = await startSink(async ({ headers }) => {
    const event = Number(headers['ce-id']);
    if (arrived.has(event)) repeated++;
    arrived.add(event);
    await new Promise((resolve) => setTimeout(resolve, handlerMs));
    answered.add(event);
    return {};
  });
  t.teardown(() => sink.close());
  return {
    url: sink.url,
    arrived,
    answered,
    get repeated() {
      return repeated;
    },
  };
}

async function started(t: Test, log: LogUnderTest): Promise<PosthornProcess> {
  const posthorn = await startPosthorn(log.args);
  t.teardown(() => posthorn.kill());
  return posthorn;
}

async function withLog<T>(log: LogUnderTest, use: (opened: Awaited<ReturnType<LogUnderTest['open']>>) => Promise<T>) {
  const opened = await log.open();
  try {
    return await use(opened);
  } finally {
    await opened.close();
  }
}
