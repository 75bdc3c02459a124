import type { LineReport } from '../report/report.ts';

/** What a line of the benchmark is given. */
export interface BenchOptions {
  /** `host:port` of the Kafka; '' where none of the lines needs one. */
  readonly brokers: string;
  /** Figures are medians over this many rounds, which go in turn through all that is compared. */
  readonly rounds: number;
  /** Of one measurement; each line has its own default. */
  readonly seconds: number | undefined;
  /** A command that is measured beside ours: it reads TOPIC as GROUP from BROKERS and POSTs to URL. */
  readonly peer: string | undefined;
  /** Sizes so small that the figures say nothing, for whether the line does its work. */
  readonly isQuick: boolean;
  /** Takes what the line finds. */
  readonly report: LineReport;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
}

/** @throws Error if it can't do its work */
export type BenchLine = (options: BenchOptions) => Promise<void>;

/** Events of a quick run, where a full topic is delivered. */
export const quickEvents = 2_000;
