import { type PosthornProcess, startPosthorn } from '../test/support/posthorn.ts';
import { applyTo, triggerYaml } from '../test/support/triggers.ts';
import { until } from '../test/support/until.ts';
import { cpuSecondsOf, median, per100k, quantile, residentMiB } from './lib/figures.ts';
import type { BenchOptions } from './lib/line.ts';
import { kafkaLog } from './lib/logs.ts';
import { pauseForSome } from './lib/pause.ts';
import type { LineReport } from './report/report.ts';
import { type Load, startLoad } from './traffic/load.ts';
import { SinkProcess } from './traffic/sink.ts';

const subscribers = 10;
const perSecond = 2_000;
const p99RatioMax = 1.25;
const growthMax = 1.2;

type Figure = 'p50' | 'p99' | 'cpuPer100k' | 'residentMiB';

interface Phase extends Readonly<Record<Figure, number>> {
  readonly isFaulty: boolean;
}

/**
 * p99 from sending to arrival at nine subscribers, and what their deliveries cost, while the tenth is down and while it
 * is not, in turn.
 */
export async function isolation(options: BenchOptions): Promise<void> {
  const { brokers, rounds, isQuick, report, signal } = options;
  const seconds = options.seconds ?? (isQuick ? 1 : 60);
  const warmSeconds = isQuick ? 0.5 : 10;
  const sink = await SinkProcess.start(subscribers);
  const posthorn = await startPosthorn(kafkaLog(brokers).args);
  let load: Load | undefined;
  const phases: Phase[] = [];
  try {
    const yaml = sink.urls.map((url, i) =>
      triggerYaml(`t${i}`, url, { filters: `[{ exact: { type: com.example.bench.${i} } }]` }),
    );
    await applyTo(posthorn.adminUrl, ...yaml);
    load = startLoad({ url: posthorn.url, perSecond, types: subscribers });
    const beganMs = performance.now();
    await pauseForSome(warmSeconds, () => sink.total(), signal);
    for (let round = 1; round <= rounds; round++) {
      for (const isFaulty of [false, true]) {
        const phase = await runPhase({ sink, posthorn, isFaulty, seconds, signal });
        phases.push(phase);
        report.say(
          `round ${round}, ${isFaulty ? 'one down' : 'all up  '}: p50 ${phase.p50.toFixed(1)} ms, ` +
            `p99 ${phase.p99.toFixed(1)} ms, ${phase.residentMiB.toFixed(0)} MiB`,
        );
      }
    }
    const tookMs = performance.now() - beganMs;
    const { accepted, refused, cpuSeconds } = await load.stop();
    load = undefined;
    const cpu = ((100_000 * cpuSeconds) / tookMs).toFixed(1);
    report.say(`${accepted} events accepted, ${refused} refused; the load took ${cpu} % of a core`);
    await until(async () => (await sink.total()) >= accepted, 'every event to arrive', 300_000);
  } finally {
    await load?.stop();
    await posthorn.kill();
    await sink.stop();
  }
  tell(report, phases, seconds);
}

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
  const cpu = cpuSecondsOf(posthorn.pid);
  const toNine = async () => (await sink.count()).counts.slice(1).reduce((sum, count) => sum + count, 0);
  await pauseForSome(seconds, toNine, signal);
  const healthy = (await sink.latencies()).slice(1).flat();
  const figures = {
    p50: median(healthy),
    p99: quantile(healthy, 0.99),
    cpuPer100k: per100k(cpuSecondsOf(posthorn.pid) - cpu, healthy.length),
    residentMiB: residentMiB(posthorn.pid),
  };
  if (isFaulty) {
    const before = (await sink.count()).counts;
    await sink.down(0, false);
    // The next phase begins when what waited has arrived.
    await until(async () => isLevel((await sink.count()).counts, before), 'the backlog to be delivered', 600_000);
  }
  return { isFaulty, ...figures };
}

/** Whether the first has got as many as the others, but for what is on its way. */
function isLevel(counts: readonly number[], before: readonly number[]): boolean {
  const [first = 0, ...others] = counts;
  return first > (before[0] ?? 0) && first >= median(others) - perSecond / subscribers / 2;
}

function tell(report: LineReport, phases: readonly Phase[], seconds: number): void {
  const [well, faulty] = [phases.filter(({ isFaulty }) => !isFaulty), phases.filter(({ isFaulty }) => isFaulty)];
  const of = (some: readonly Phase[], figure: Figure) => median(some.map((one) => one[figure]));
  report.say(
    `\nMedians of ${well.length} rounds of ${seconds} s, ${perSecond} events/s of 1 KB, each for one of ${subscribers} triggers. ` +
      'The CPU is all that Posthorn takes, told of the deliveries to the nine that are never down.\n',
  );
  const p99 = 'p99, ms';
  report.table(
    [
      { name: '' },
      { name: 'p50 of the nine, ms', digits: 1, isCharted: true },
      { name: p99, digits: 1, isCharted: true },
      { name: 'CPU s per 100k of the nine', digits: 2, isCharted: true },
      { name: 'memory, MiB' },
    ],
    [well, faulty].map((some, i) => [
      i === 0 ? 'all up' : 'one down',
      ...(['p50', 'p99', 'cpuPer100k', 'residentMiB'] as const).map((figure) => of(some, figure)),
    ]),
  );
  report.say();
  const ratio = median(well.map((one, i) => (faulty[i]?.p99 ?? Number.NaN) / one.p99));
  const marks = [{ column: p99, row: 'one down', at: p99RatioMax * of(well, 'p99') }];
  report.target(
    'p99 with one down, times that without, the median of the rounds',
    ratio,
    { atMost: p99RatioMax },
    { digits: 2, marks },
  );
  // The first backlog is delivered as fast as can be, for which memory grows to what a full topic takes.
  const [, before, after = before] = phases;
  const growth = (phases.at(-1)?.residentMiB ?? Number.NaN) / (after?.residentMiB ?? Number.NaN);
  report.target('memory at the end, times that after the first backlog', growth, { atMost: growthMax }, { digits: 2 });
}
