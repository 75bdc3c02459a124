import { measureInTurn } from './lib/backlog.ts';
import { besideBusy } from './lib/beside-busy.ts';
import { posthorn } from './lib/contestant.ts';
import { type BenchOptions, quickEvents } from './lib/line.ts';

const cpuRatioMax = 1.1;
const [one, beside, two] = ['one worker', 'one worker, beside a busy process', 'two workers'] as const;
const contestants = [
  { contestant: posthorn({ name: one }), processes: 1 },
  { contestant: besideBusy(posthorn(), beside), processes: 1 },
  { contestant: posthorn({ name: two, workers: 2 }), processes: 2 },
];

/**
 * `posthorn serve --workers 2` beside one process, on as much work a process: what a delivery costs over all processes.
 * Two workers also keep more cores busy, which makes all that runs slower; how much is told by one worker while a
 * process that has nothing to do with it is busy.
 */
export async function workers(options: BenchOptions): Promise<void> {
  const { rounds, isQuick, report } = options;
  // As many for each process, each of which compiles the code for itself and is slower while it does.
  const events = isQuick ? quickEvents : 400_000;
  const results = await measureInTurn(
    options,
    contestants.map(({ contestant, processes }) => ({ contestant, events: processes * events })),
  );
  report.say(
    `\nMedians of ${rounds} rounds, ${events} events of 1 KB a process, 8 partitions, one trigger, an instant subscriber. ` +
      'CPU and memory are of all processes together.\n',
  );
  const cpu = 'CPU s per 100k';
  report.table(
    [
      { name: '' },
      { name: 'deliveries/s', isCharted: true },
      { name: cpu, digits: 2, isCharted: true },
      { name: 'CPU s per 100k of the sink', digits: 2 },
      { name: 'peak memory, MiB', isCharted: true },
    ],
    contestants.map(({ contestant: { name } }) => [
      name,
      ...(['perSecond', 'cpuPer100k', 'sinkCpuPer100k', 'peakMiB'] as const).map((figure) =>
        results.median(name, figure),
      ),
    ]),
  );
  const ratio = (name: string, to: string): string => results.ratio(name, to, 'cpuPer100k').toFixed(2);
  report.say(
    `\nBeside a busy process one worker takes ${ratio(beside, one)} times the CPU, which is the machine's doing; ` +
      `two workers take ${ratio(two, beside)} times that.\n`,
  );
  report.target(
    "CPU of two workers, times one's",
    results.ratio(two, one, 'cpuPer100k'),
    { atMost: cpuRatioMax },
    { digits: 2, marks: [{ column: cpu, row: two, at: cpuRatioMax * results.median(one, 'cpuPer100k') }] },
  );
}
