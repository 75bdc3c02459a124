import { performance } from 'node:perf_hooks';
import { until } from '../../test/support/until.ts';
import type { Contestant } from './contestant.ts';
import { cpuSecondsOf, peakMiB } from './figures.ts';
import { SinkProcess } from './sink.ts';
import { fillTopic } from './topic.ts';

export interface Backlog {
  /** Of 1 KB, as their headers count. */
  readonly events: number;
  /** Different partition keys; 0 for none. */
  readonly keys: number;
  /** Events of this key fail always; null for none. */
  readonly failKey?: string | null;
}

export interface BacklogFigures {
  readonly perSecond: number;
  readonly cpuPer100k: number;
  readonly sinkCpuPer100k: number;
  readonly peakMiB: number;
}

/** How fast, and at what cost, a topic full of events gets to an instant subscriber. */
export async function measureBacklog(
  brokers: string,
  contestant: Contestant,
  { events, keys, failKey = null }: Backlog,
): Promise<BacklogFigures> {
  const sink = await SinkProcess.start(1);
  try {
    await sink.failKey(failKey);
    const prepared = await contestant.prepare(brokers, sink.urls[0] ?? '');
    await fillTopic(brokers, prepared.topic, events, keys);
    const running = await prepared.start();
    try {
      const wanted = failKey === null ? events : events - Math.ceil(events / keys);
      // The first tenth warms the code, the last has fewer keys left.
      const begin = await reach(sink, Math.floor(wanted * 0.1), running.pid);
      const end = await reach(sink, Math.floor(wanted * 0.9), running.pid);
      await reach(sink, wanted, running.pid);
      const deliveries = end.count - begin.count;
      return {
        perSecond: (1_000 * deliveries) / (end.atMs - begin.atMs),
        cpuPer100k: (100_000 * (end.cpu - begin.cpu)) / deliveries,
        sinkCpuPer100k: (100_000 * (end.sinkCpu - begin.sinkCpu)) / deliveries,
        peakMiB: peakMiB(running.pid),
      };
    } finally {
      await running.kill();
    }
  } finally {
    await sink.stop();
  }
}

async function reach(sink: SinkProcess, wanted: number, pid: number) {
  let state = await sink.count();
  const count = () => state.counts[0] ?? 0;
  await until(
    async () => {
      state = await sink.count();
      return count() >= wanted;
    },
    `${wanted} deliveries`,
    300_000,
  );
  return { count: count(), atMs: performance.now(), cpu: cpuSecondsOf(pid), sinkCpu: state.cpuSeconds };
}
