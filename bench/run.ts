import { type KafkaCluster, startKafkaCluster } from '../test/support/kafka/cluster.ts';
import { isolation } from './isolation.ts';
import { ordered } from './ordered.ts';

/**
 * `npm run bench -- NAME [--rounds N] [--seconds N]`: measures one line of the benchmark on a real Kafka, which it starts
 * unless KAFKA_BROKERS names one, and prints the figures beside their target. Load goes to 127.0.0.1 only.
 */

/** What a line of the benchmark is given. */
export interface BenchOptions {
  /** `host:port` of the Kafka. */
  readonly brokers: string;
  /** Figures are medians over this many rounds, which go in turn through all that is compared. */
  readonly rounds: number;
  /** Of one measurement; each line has its own default. */
  readonly seconds: number | undefined;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
}

/** Prints its figures; resolves with whether each target was met. */
export type BenchLine = (options: BenchOptions) => Promise<boolean>;

const lines: Readonly<Record<string, BenchLine>> = { ordered, isolation };

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => interrupted.abort(new Error('interrupted')));
}

let cluster: KafkaCluster | null = null;
try {
  const { names, rounds, seconds } = parse(process.argv.slice(2));
  const given = process.env.KAFKA_BROKERS;
  cluster = given ? null : await startKafkaCluster();
  const brokers = given ?? cluster?.brokers.join() ?? '';
  for (const name of names) {
    console.log(`\n## ${name}`);
    const isMet = await lines[name]?.({ brokers, rounds, seconds, signal: interrupted.signal });
    if (!isMet) process.exitCode = 1;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
} finally {
  await cluster?.stop();
}

function parse(args: readonly string[]): { names: string[]; rounds: number; seconds: number | undefined } {
  const names: string[] = [];
  const numbers: Record<string, number> = {};
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '--rounds' || arg === '--seconds') {
      const number = Number(args[++i]);
      if (!Number.isSafeInteger(number) || number < 1) throw new Error(`${arg} needs a whole number from 1 on`);
      numbers[arg] = number;
    } else if (arg in lines) names.push(arg);
    else throw new Error(`no line ${arg}; there are ${Object.keys(lines).join(', ')} (and --rounds N, --seconds N)`);
  }
  return {
    names: names.length > 0 ? names : Object.keys(lines),
    rounds: numbers['--rounds'] ?? 3,
    seconds: numbers['--seconds'],
  };
}
