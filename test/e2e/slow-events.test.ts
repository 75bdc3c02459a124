import type { Test } from 'tap';
import { Ledger, sendNumbered } from '../support/ledger.ts';
import { type LogUnderTest, onBothLogs } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { type SinkAnswer, startSink } from '../support/sink.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const slow = { first: 1, last: 200 };
const quick = { first: 201, last: 1_200 };
/** Within this time of their sending the quick ones are delivered, in milliseconds. */
const quickMs = 5_000;

onBothLogs('200 slow events hold up none of the 1,000 quick ones behind them', async (t, log) => {
  const handler = await startHandler(t);
  const posthorn = await started(t, log);
  await applyTo(posthorn.adminUrl, triggerYaml('handler', handler.url));

  const tookMs = await sendAll(posthorn, () => handler.arrivedOf(quick) === 1_000);
  t.comment(`the quick events were delivered ${Math.round(tookMs)} ms after the last was sent`);
  t.ok(tookMs < quickMs, 'the quick ones are delivered while all slow ones are out');
  t.equal(handler.answered.size, 1_000);
  handler.release();
  await until(() => handler.answered.size === 1_200, 'the slow ones to be done');
  t.equal(handler.requests, 1_200, 'none was repeated');
  t.equal(await posthorn.stop(), 0);
});

onBothLogs('a trigger whose handler is slow is not noticed by another', async (t, log) => {
  const [handler, other] = [await startHandler(t), await startHandler(t)];
  other.release();
  const posthorn = await started(t, log);
  await applyTo(posthorn.adminUrl, triggerYaml('slow', handler.url), triggerYaml('other', other.url));

  const tookMs = await sendAll(posthorn, () => other.answered.size === 1_200 && handler.arrivedOf(quick) === 1_000);
  t.comment(`the other trigger had everything ${Math.round(tookMs)} ms after the last was sent`);
  t.ok(tookMs < quickMs);
  t.equal(await metric(posthorn.adminUrl, 'posthorn_retry_spills_total'), 0, 'nothing took the way of the retry topic');
  handler.release();
  await until(() => handler.answered.size === 1_200, 'the slow ones to be done');
  t.same([handler.requests, other.requests], [1_200, 1_200], 'none was repeated');
  t.equal(await posthorn.stop(), 0);
});

/** Sends the slow events and then the quick ones; resolves with the milliseconds from the last one's until `isDone`. */
async function sendAll(posthorn: PosthornProcess, isDone: () => boolean): Promise<number> {
  const ledger = new Ledger();
  await sendNumbered(ledger, slow, () => posthorn.url);
  await sendNumbered(ledger, quick, () => posthorn.url);
  const sentMs = performance.now();
  await until(isDone, 'the quick events to be delivered', 60_000);
  return performance.now() - sentMs;
}

/** A subscriber that answers the slow events when it is released, and the others at once. */
async function startHandler(t: Test) {
  const { promise: released, resolve: release } = Promise.withResolvers<SinkAnswer>();
  const arrived = new Set<number>();
  const answered = new Set<number>();
  const sink = await startSink(async ({ headers }) => {
    const event = Number(headers['ce-id']);
    arrived.add(event);
    if (event <= slow.last) await released;
    answered.add(event);
    return {};
  });
  t.teardown(() => sink.close());
  return {
    url: sink.url,
    answered,
    release: () => release({}),
    arrivedOf: ({ first, last }: typeof slow) => [...arrived].filter((event) => event >= first && event <= last).length,
    get requests() {
      return sink.requests.length;
    },
  };
}

async function started(t: Test, log: LogUnderTest): Promise<PosthornProcess> {
  const posthorn = await startPosthorn(log.args);
  t.teardown(() => posthorn.kill());
  return posthorn;
}
