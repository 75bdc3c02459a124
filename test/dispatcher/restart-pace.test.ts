import t from 'tap';
import { RestartPace } from '../../dispatcher/restart-pace.ts';

/** When restarts come if one is wanted all the time, over so many milliseconds. */
function restarts(durationMs: number): number[] {
  const pace = new RestartPace();
  const atMs: number[] = [];
  for (let nowMs = 1_000; nowMs < 1_000 + durationMs; nowMs += 100) {
    if (pace.waitMs(nowMs) > 0) continue;
    pace.restarted(nowMs);
    atMs.push(nowMs - 1_000);
  }
  return atMs;
}

t.test('continual changes restart a consumer 5 times in any minute, at first soon after one another', async (t) => {
  const atMs = restarts(600_000);
  t.same(atMs.slice(0, 6), [0, 2_000, 10_000, 26_000, 46_000, 62_000]);
  for (const [index, fromMs] of atMs.entries()) {
    const within = atMs.slice(index).filter((one) => one - fromMs < 60_000).length;
    t.ok(within <= 5, `${within} in the minute from ${fromMs} ms`);
  }
  t.ok(atMs.length >= 30, 'and no fewer than it may be');
});

t.test('a single change restarts it at once', async (t) => {
  const pace = new RestartPace();
  for (const nowMs of [0, 100_000, 200_000]) {
    t.equal(pace.waitMs(nowMs), 0);
    pace.restarted(nowMs);
    t.equal(pace.waitMs(nowMs + 500), 1_500);
  }
});
