import { randomBytes } from 'node:crypto';
import { type PosthornProcess, startPosthorn } from '../test/support/posthorn.ts';
import { applyTo, triggerYaml } from '../test/support/triggers.ts';
import { until } from '../test/support/until.ts';
import { judge, median, printTable, quantile, residentMiB } from './lib/figures.ts';
import { type Load, startLoad } from './lib/load.ts';
import { pause } from './lib/pause.ts';
import { SinkProcess } from './lib/sink.ts';
import type { BenchOptions } from './run.ts';

const subscribers = 10;
const perSecond = 2_000;

interface Phase {
  readonly isFaulty: boolean;
  readonly p50: number;
  readonly p99: number;
  readonly residentMiB: number;
}

/** p99 from sending to arrival at nine subscribers, while the tenth is down and while it is not, in turn. */
export async function isolation({ brokers, rounds, seconds = 60, signal }: BenchOptions): Promise<boolean> {
  const prefix = `bench${randomBytes(4).toString('hex')}`;
  const sink = await SinkProcess.start(subscribers);
  const posthorn = await startPosthorn(['--kafka', brokers, '--prefix', prefix, '--replication-factor', '1']);
  let load: Load | undefined;
  const phases: Phase[] = [];
  let accepted = 0;
  try {
    const yaml = sink.urls.map((url, i) =>
      triggerYaml(`t${i}`, url, { filters: `[{ exact: { type: com.example.bench.${i} } }]` }),
    );
    await applyTo(posthorn.adminUrl, ...yaml);
    load = startLoad({ url: posthorn.url, perSecond, types: subscribers });
    await pause(warmSeconds, signal);
    for (let round = 1; round <= rounds; round++) {
      for (const isFaulty of [false, true]) {
        const phase = await runPhase({ sink, posthorn, isFaulty, seconds, signal });
        phases.push(phase);
        console.log(
          `round ${round}, ${isFaulty ? 'one down' : 'all up  '}: p50 ${phase.p50.toFixed(1)} ms, ` +
            `p99 ${phase.p99.toFixed(1)} ms, ${phase.residentMiB.toFixed(0)} MiB`,
        );
      }
    }
    const report = await load.stop();
    load = undefined;
    accepted = report.accepted;
    console.log(`${report.accepted} events accepted, ${report.refused} refused`);
    await until(async () => (await total(sink)) >= accepted, 'every event to arrive', 300_000);
  } finally {
    await load?.stop();
    await posthorn.kill();
    await sink.stop();
  }
  return report(phases, seconds);
}

/** Before the first measurement. */
const warmSeconds = 10;

interface PhaseOptions {
  readonly sink: SinkProcess;
  readonly posthorn: PosthornProcess;
  readonly isFaulty: boolean;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

async function runPhase({ sink, posthorn, isFaulty, seconds, signal }: PhaseOptions): Promise<Phase> {
  if (isFaulty) await sink.down(0, true);
  await sink.reset();
  await pause(seconds, signal);
  const healthy = (await sink.latencies()).slice(1).flat();
  const memory = residentMiB(posthorn.pid);
  if (isFaulty) {
    const before = (await sink.count()).counts;
    await sink.down(0, false);
    // The next phase begins when what waited has arrived.
    await until(async () => isLevel((await sink.count()).counts, before), 'the backlog to be delivered', 600_000);
  }
  return { isFaulty, p50: median(healthy), p99: quantile(healthy, 0.99), residentMiB: memory };
}

/** Whether the first has got as many as the others, but for what is on its way. */
function isLevel(counts: readonly number[], before: readonly number[]): boolean {
  const [first = 0, ...others] = counts;
  return first > (before[0] ?? 0) && first >= median(others) - perSecond / subscribers / 2;
}

function report(phases: readonly Phase[], seconds: number): boolean {
  const [well, faulty] = [phases.filter(({ isFaulty }) => !isFaulty), phases.filter(({ isFaulty }) => isFaulty)];
  const of = (some: readonly Phase[], figure: 'p50' | 'p99' | 'residentMiB') => median(some.map((one) => one[figure]));
  console.log(
    `\nMedians of ${well.length} rounds of ${seconds} s, ${perSecond} events/s of 1 KB, each for one of ${subscribers} triggers.\n`,
  );
  printTable(
    ['', 'p50 of the nine, ms', 'p99, ms', 'memory, MiB'],
    [well, faulty].map((some, i) => [
      i === 0 ? 'all up' : 'one down',
      of(some, 'p50').toFixed(1),
      of(some, 'p99').toFixed(1),
      of(some, 'residentMiB').toFixed(0),
    ]),
  );
  const ratio = median(well.map(({ p99 }, i) => (faulty[i]?.p99 ?? Number.NaN) / p99));
  const growth = (phases.at(-1)?.residentMiB ?? 0) / (phases[1]?.residentMiB ?? 1);
  console.log();
  return [
    judge(`p99 with one down at most 1.25 of without: ${ratio.toFixed(2)}, the median of the rounds`, ratio <= 1.25),
    judge(`memory flat: ${growth.toFixed(2)} of that in the first round (at most 1.2)`, growth <= 1.2),
  ].every(Boolean);
}

async function total(sink: SinkProcess): Promise<number> {
  return (await sink.count()).counts.reduce((sum, count) => sum + count, 0);
}
