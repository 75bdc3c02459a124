import { dispatch } from './dispatch.ts';
import { filter } from './filter.ts';
import { ingest } from './ingest.ts';
import { isolation } from './isolation.ts';
import { latency } from './latency.ts';
import type { BenchLine } from './lib/line.ts';
import { ordered } from './ordered.ts';
import { restart } from './restart.ts';
import { soak } from './soak.ts';
import { start } from './start.ts';
import { triggers } from './triggers.ts';
import { workers } from './workers.ts';

/** In the order in which they run; the longest last. */
export const lines: Readonly<Record<string, BenchLine>> = {
  dispatch,
  workers,
  ordered,
  isolation,
  ingest,
  latency,
  triggers,
  start,
  restart,
  filter,
  soak,
};

/** Lines that need no Kafka. */
export const alone: ReadonlySet<string> = new Set(['filter']);
