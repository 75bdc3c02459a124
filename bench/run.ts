import { parseArgs } from 'node:util';
import { type KafkaCluster, startKafkaCluster } from '../test/support/kafka/cluster.ts';
import { dispatch } from './dispatch.ts';
import { filter } from './filter.ts';
import { ingest } from './ingest.ts';
import { isolation } from './isolation.ts';
import { latency } from './latency.ts';
import { ordered } from './ordered.ts';
import { start } from './start.ts';
import { triggers } from './triggers.ts';

/**
 * `npm run bench -- NAME… [--rounds N] [--seconds N] [--peer 'COMMAND']`: measures these lines of the benchmark, or all,
 * on a real Kafka where they need one, which it starts unless KAFKA_BROKERS names one, and prints the figures beside
 * their targets. Load goes to 127.0.0.1 only.
 */

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
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Prints its figures; resolves with whether each target was met. */
export type BenchLine = (options: BenchOptions) => Promise<boolean>;

const lines: Readonly<Record<string, BenchLine>> = {
  dispatch,
  ordered,
  isolation,
  ingest,
  latency,
  triggers,
  start,
  filter,
};

/** Lines that need no Kafka. */
const alone = new Set(['filter']);

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => interrupted.abort(new Error('interrupted')));
}

let cluster: KafkaCluster | null = null;
try {
  const { names, ...measured } = parse(process.argv.slice(2));
  const given = process.env.KAFKA_BROKERS;
  cluster = given || names.every((name) => alone.has(name)) ? null : await startKafkaCluster();
  const brokers = given ?? cluster?.brokers.join() ?? '';
  for (const name of names) {
    console.log(`\n## ${name}`);
    const isMet = await lines[name]?.({ brokers, ...measured, signal: interrupted.signal });
    if (!isMet) process.exitCode = 1;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
} finally {
  await cluster?.stop();
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const { values, positionals: names } = parseArgs({
    args: [...args],
    options: { rounds: text, seconds: text, peer: text },
    allowPositionals: true,
  });
  const unknown = names.find((name) => !Object.hasOwn(lines, name));
  if (unknown !== undefined) throw new Error(`no line ${unknown}; there are ${Object.keys(lines).join(', ')}`);
  return {
    names: names.length > 0 ? names : Object.keys(lines),
    rounds: numberOf('--rounds', values.rounds) ?? 3,
    seconds: numberOf('--seconds', values.seconds),
    peer: values.peer,
  };
}

function numberOf(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(value)) throw new Error(`${name} ${value}: must be a whole number from 1 on`);
  return Number(value);
}
