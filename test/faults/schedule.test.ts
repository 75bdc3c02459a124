import t from 'tap';
import { type FaultName, faultNames, faults, faultsOn } from './catalog.ts';
import { schedule } from './schedule.ts';

const minutesMs = 60_000;

t.test('a seed gives the same faults at the same times again', async (t) => {
  const options = { seed: 42, durationMs: 5 * minutesMs, log: 'kafka', faults: faultNames } as const;
  t.strictSame(schedule(options), schedule(options));
  t.notSame(schedule(options), schedule({ ...options, seed: 43 }));
});

t.test('in 20 minutes every fault of a log comes, and none is still there at the end', async (t) => {
  for (const log of ['embedded', 'kafka'] as const) {
    const durationMs = 20 * minutesMs;
    const steps = schedule({ seed: 1, durationMs, log, faults: faultNames });
    t.strictSame([...new Set(steps.map(({ fault }) => fault))].sort(), faultsOn(log).sort());
    t.ok(steps.every(({ atMs, lastsMs }) => atMs > 0 && atMs + lastsMs < durationMs));
  }
});

t.test('faults of a family follow each other', async (t) => {
  const steps = schedule({ seed: 7, durationMs: 10 * minutesMs, log: 'kafka', faults: faultNames });
  for (const its of Map.groupBy(steps, ({ fault }) => faults[fault].family).values()) {
    const overlapping = its.filter(({ atMs }, index) => {
      const before = its[index - 1];
      return before !== undefined && before.atMs + before.lastsMs > atMs;
    });
    t.strictSame(overlapping, []);
  }
});

t.test('what is left out of one family changes nothing in the others', async (t) => {
  const all = { seed: 5, durationMs: 5 * minutesMs, log: 'kafka', faults: faultNames } as const;
  const without: FaultName[] = faultNames.filter((name) => name !== 'broker-kill');
  const others = (names: readonly FaultName[]) =>
    schedule({ ...all, faults: names }).filter(({ fault }) => faults[fault].family !== 'broker');
  t.strictSame(others(without), others(faultNames));
});
