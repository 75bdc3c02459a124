import t, { type Test } from 'tap';
import { Pool } from 'undici';
import { type Outgoing, post } from '../../cli/send/post.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type SinkAnswer, startSink } from '../support/sink.ts';
import { until } from '../support/until.ts';

async function sinkFor(t: Test, answer: () => SinkAnswer) {
  const sink = await startSink(answer);
  t.teardown(() => sink.close());
  return sink;
}

async function postingTo(t: Test, url: string, { connected = false } = {}) {
  const pool = new Pool(url);
  t.teardown(() => pool.destroy());
  const clock = new ManualClock();
  const stopped = new AbortController();
  const retries: string[] = [];
  const event: Outgoing = { where: 'line 1', headers: ['ce-id', '1'], body: null };
  const onRetry = (reason: string): void => void retries.push(reason);
  return {
    clock,
    stopped,
    retries,
    post: () => post(event, { pool, path: '/', server: { connected }, clock, signal: stopped.signal, onRetry }),
  };
}

t.test('a 503 is posted again no sooner than Retry-After, and then counts as accepted', async (t) => {
  let busy = true;
  const sink = await sinkFor(t, () => (busy ? { status: 503, headers: { 'retry-after': '5' } } : { status: 202 }));
  const { clock, retries, post } = await postingTo(t, sink.url);
  const posting = post();
  await until(() => clock.pending === 1, 'it waits');
  busy = false;
  await clock.advance(4_999);
  t.equal(sink.requests.length, 1);
  await clock.advance(1);
  t.strictSame(await posting, { kind: 'accepted' });
  t.equal(sink.requests.length, 2);
  t.strictSame(retries, ['503']);
});

t.test('a connection that breaks is made again, with growing waits, and given up in the end', async (t) => {
  const sink = await sinkFor(t, () => ({ destroy: true }));
  const { clock, post } = await postingTo(t, sink.url);
  const posting = post();
  for (const [index, waitMs] of [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000].entries()) {
    await until(() => clock.pending === 1, 'it waits');
    t.equal(sink.requests.length, index + 1);
    await clock.advance(waitMs - 1);
    t.equal(clock.pending, 1, `not before ${waitMs} ms`);
    await clock.advance(1);
  }
  t.match(await posting, { kind: 'hopeless', reason: String });
  t.equal(sink.requests.length, 8);
});

t.test('where nobody ever listened the post is given up within a second', async (t) => {
  const gone = await startSink();
  await gone.close();
  const { clock, retries, post } = await postingTo(t, gone.url);
  const posting = post();
  for (const waitMs of [250, 500]) {
    await until(() => clock.pending === 1, 'it waits');
    await clock.advance(waitMs - 1);
    t.equal(clock.pending, 1, `not before ${waitMs} ms`);
    await clock.advance(1);
  }
  t.strictSame(await posting, { kind: 'absent', reason: 'connection refused' });
  t.strictSame(retries, [], 'and nothing is said of it meanwhile');
});

t.test('a Posthorn that goes away is waited for, as it may be starting anew', async (t) => {
  const gone = await startSink();
  await gone.close();
  const { clock, retries, post } = await postingTo(t, gone.url, { connected: true });
  const posting = post();
  for (const waitMs of [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000]) {
    await until(() => clock.pending === 1, 'it waits');
    await clock.advance(waitMs);
  }
  t.strictSame(await posting, { kind: 'hopeless', reason: 'connection refused' });
  t.strictSame(retries, Array(7).fill('connection refused'));
});

t.test('a wait for another attempt ends when the sending is stopped', async (t) => {
  const sink = await sinkFor(t, () => ({ status: 503 }));
  const { clock, stopped, post } = await postingTo(t, sink.url);
  const posting = post();
  await until(() => clock.pending === 1, 'it waits');
  stopped.abort();
  await until(() => sink.requests.length === 2, 'one last attempt');
  t.match(await posting, { kind: 'hopeless', reason: '503' });
  t.equal(clock.pending, 0);
});
