import { type PosthornProcess, startPosthorn } from '../test/support/posthorn.ts';
import { applyTo, triggerYaml } from '../test/support/triggers.ts';
import { cpuSecondsOf, residentMiB } from './lib/figures.ts';
import type { BenchOptions } from './lib/line.ts';
import { type BenchLog, type LogKind, logKinds, withLog } from './lib/logs.ts';
import { pause, within } from './lib/pause.ts';
import { Samples } from './lib/samples.ts';
import { fillTopic } from './lib/topic.ts';
import { SinkProcess } from './traffic/sink.ts';

const readyMaxMs = 1_000;
const idleMaxPercent = 1;
/** After this an event that waits is not delivered any more, in milliseconds. */
const deliveryMaxMs = 120_000;

type Figure = 'readyMs' | 'firstMs' | 'idlePercent' | 'residentMiB';

/**
 * From the start of the process on a new log until it is ready; from its start to the first delivery, of an event that
 * waits for a trigger in the log; and what it takes while it has nothing to do.
 */
export async function start(options: BenchOptions): Promise<void> {
  const { brokers, rounds, isQuick, report, signal } = options;
  const seconds = options.seconds ?? (isQuick ? 0.5 : 10);
  // A consumer on which nothing has come for 10 s waits longer for more: only then is it idle.
  const calmSeconds = isQuick ? 0.2 : 15;
  const results = new Samples<LogKind, Figure>();
  for (let round = 1; round <= rounds; round++) {
    for (const kind of logKinds) {
      const one = await withLog(kind, brokers, (log) => measure(log, { seconds, calmSeconds, signal }));
      results.add(kind, one);
      report.say(
        `round ${round}, ${kind}: ready after ${Math.round(one.readyMs)} ms, the first delivery after ` +
          `${Math.round(one.firstMs)} ms, ${one.idlePercent.toFixed(1)} % idle`,
      );
    }
  }
  report.say(
    `\nMedians of ${rounds} rounds. Ready: on a new log. The first delivery: from a start on that log with one trigger, ` +
      `for which an event waits. Idle: ${calmSeconds} s after that, over ${seconds} s.\n`,
  );
  const [ready, idle] = ['ready after, ms', 'CPU while idle, % of a core'];
  report.table(
    [
      { name: '' },
      { name: ready, isCharted: true },
      { name: 'first delivery after, ms', isCharted: true },
      { name: idle, digits: 1, isCharted: true },
      { name: 'memory, MiB' },
    ],
    logKinds.map((kind) => [
      kind,
      ...(['readyMs', 'firstMs', 'idlePercent', 'residentMiB'] as const).map((figure) => results.median(kind, figure)),
    ]),
  );
  report.say();
  const marks = [{ column: ready, row: 'embedded', at: readyMaxMs }];
  report.target(
    'ready on the embedded log, ms',
    results.median('embedded', 'readyMs'),
    { below: readyMaxMs },
    { marks },
  );
  for (const kind of logKinds) {
    report.target(
      `idle on ${kind}, % of a core`,
      results.median(kind, 'idlePercent'),
      { below: idleMaxPercent },
      { digits: 1, marks: [{ column: idle, row: kind, at: idleMaxPercent }] },
    );
  }
}

interface MeasureOptions {
  readonly seconds: number;
  /** After the first delivery, before idleness is measured. */
  readonly calmSeconds: number;
  readonly signal: AbortSignal;
}

async function measure(log: BenchLog, { seconds, calmSeconds, signal }: MeasureOptions) {
  const sink = await SinkProcess.start(1);
  let posthorn: PosthornProcess | null = null;
  try {
    const beganMs = performance.now();
    posthorn = await startPosthorn(log.args);
    const readyMs = performance.now() - beganMs;
    await applyTo(posthorn.adminUrl, triggerYaml('bench', sink.urls[0] ?? ''));
    await posthorn.stop();
    await fillTopic(log.open, log.topic, 1, 0);

    const marks = sink.marks({ at: [1] });
    const startedMs = performance.timeOrigin + performance.now();
    posthorn = await startPosthorn(log.args);
    const [first] = await within(deliveryMaxMs, 'the first delivery', marks);
    await pause(calmSeconds, signal);
    const before = cpuSecondsOf(posthorn.pid);
    await pause(seconds, signal);
    const idlePercent = (100 * (cpuSecondsOf(posthorn.pid) - before)) / seconds;
    return {
      ...{ readyMs, idlePercent, residentMiB: residentMiB(posthorn.pid) },
      firstMs: (first?.atMs ?? Number.NaN) - startedMs,
    };
  } finally {
    await posthorn?.kill();
    await sink.stop();
  }
}
