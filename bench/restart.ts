import { type PosthornProcess, startPosthorn } from '../test/support/posthorn.ts';
import { applyTo, triggerYaml } from '../test/support/triggers.ts';
import { until } from '../test/support/until.ts';
import { type BenchOptions, quickEvents } from './lib/line.ts';
import { type BenchLog, type LogKind, logKinds, withLog } from './lib/logs.ts';
import { within } from './lib/pause.ts';
import { Samples } from './lib/samples.ts';
import { fillTopic } from './lib/topic.ts';
import { SinkProcess } from './traffic/sink.ts';

const handlerMs = 5;
const repeatedMax = 256;
/** After this events count as missing, in milliseconds. */
const timeoutMs = 120_000;

type Figure = 'repeated' | 'missing' | 'againMs';

/** SIGKILL in the middle of a backlog, and a start at once: what is delivered again, and when deliveries go on. */
export async function restart({ brokers, rounds, isQuick, report, signal }: BenchOptions): Promise<void> {
  const events = isQuick ? quickEvents : 20_000;
  const results = new Samples<LogKind, Figure>();
  for (let round = 1; round <= rounds; round++) {
    for (const kind of logKinds) {
      signal.throwIfAborted();
      const one = await withLog(kind, brokers, (log) => measure(log, events));
      results.add(kind, one);
      if (one.missing > 0) report.fault(`${one.missing} of ${events} events are missing on ${kind}`);
      report.say(
        `round ${round}, ${kind}: ${one.repeated} repeated, ${one.missing} missing, ` +
          `deliveries go on after ${Math.round(one.againMs)} ms`,
      );
    }
  }
  report.say(
    `\nOf ${rounds} rounds the most, of times the median: ${events} events of 1 KB, a subscriber that takes ${handlerMs} ms, ` +
      'SIGKILL after half of them. From the kill to the first answer of the subscriber to the next process.\n',
  );
  const repeated = 'events repeated';
  const most = (kind: LogKind, figure: Figure): number => Math.max(...results.of(kind, figure));
  report.table(
    [
      { name: '' },
      { name: repeated, isCharted: true },
      { name: 'events missing' },
      { name: 'deliveries go on after, ms', isCharted: true },
    ],
    logKinds.map((kind) => [kind, ...[most(kind, 'repeated'), most(kind, 'missing'), results.median(kind, 'againMs')]]),
  );
  report.say();
  for (const kind of logKinds) {
    const marks = [{ column: repeated, row: kind, at: repeatedMax }];
    report.target(`events repeated on ${kind}`, most(kind, 'repeated'), { atMost: repeatedMax }, { marks });
    report.target(`events missing on ${kind}`, most(kind, 'missing'), { atMost: 0 });
  }
}

async function measure(log: BenchLog, events: number): Promise<Record<Figure, number>> {
  const sink = await SinkProcess.start(1);
  let posthorn: PosthornProcess | null = null;
  try {
    await sink.behave({ delayMs: handlerMs, tracksIds: true });
    posthorn = await startPosthorn(log.args);
    await applyTo(posthorn.adminUrl, triggerYaml('bench', sink.urls[0] ?? ''));
    await posthorn.stop();
    await fillTopic(log.open, log.topic, events, 0);

    // Held until all is set for the kill, however long this process waits for its turn.
    await sink.hold();
    posthorn = await startPosthorn(log.args, {}, { awaitsReady: false });
    const half = sink.marks({ at: [Math.floor(events / 2)], killed: posthorn.pid });
    const [kill] = await within(timeoutMs, 'half of the events to arrive', half);
    await posthorn.exited;
    // What it had sent is answered, or its connection is gone, when the sink has looked at all of it.
    await until(async () => (await sink.count()).underWay === 0, 'the sink to be idle', timeoutMs);
    const before = await sink.total();
    const again = sink.marks({ at: [before + 1] });
    posthorn = await startPosthorn(log.args, {}, { awaitsReady: false });
    const [first] = await within(timeoutMs, 'deliveries to go on', again);
    const isComplete = async () => (await sink.count()).distinct >= events;
    await until(isComplete, 'every event to arrive', timeoutMs).catch(() => {});
    const { repeated, distinct } = await sink.count();
    return { repeated, missing: events - distinct, againMs: (first?.atMs ?? Number.NaN) - (kill?.atMs ?? Number.NaN) };
  } finally {
    await posthorn?.kill();
    await sink.stop();
  }
}
