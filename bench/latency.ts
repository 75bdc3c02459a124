import { quantile } from './lib/figures.ts';
import type { BenchOptions } from './lib/line.ts';
import { type LogKind, logKinds, withLog } from './lib/logs.ts';
import { Samples } from './lib/samples.ts';
import { steady } from './lib/steady.ts';

const rates = [200, 2_000];
const p50MaxMs = 3;

type Figure = 'p50' | 'p99' | 'p999' | 'loadCpuPercent';

/** From sending an event, through the ingress and the log, to its arrival at the subscriber. */
export async function latency(options: BenchOptions): Promise<void> {
  const { brokers, rounds, isQuick, report, signal } = options;
  const seconds = options.seconds ?? (isQuick ? 1 : 10);
  // Once, when about 10,500 events have come, all waits for 0.1 to 0.2 s, whatever the rate: most likely V8 compiles.
  const warmSeconds = isQuick ? 0.3 : 12;
  // A quick run shows with the embedded log that this line works; Kafka has others.
  const logs: readonly LogKind[] = isQuick ? ['embedded'] : logKinds;
  const results = new Samples<`${LogKind} ${number}`, Figure>();
  for (let round = 1; round <= rounds; round++) {
    for (const kind of logs) {
      for (const rate of rates) {
        const one = await withLog(kind, brokers, ({ args }) => steady({ args, rate, warmSeconds, seconds, signal }));
        if (one.missing > 0) report.fault(`${kind}, ${rate}/s: ${one.missing} of ${one.accepted} events are missing`);
        const [p50, p99, p999] = [0.5, 0.99, 0.999].map((share) => quantile(one.latencies, share)) as [
          number,
          number,
          number,
        ];
        results.add(`${kind} ${rate}`, { p50, p99, p999, loadCpuPercent: one.loadCpuPercent });
        report.say(`round ${round}, ${kind}, ${rate}/s: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`);
      }
    }
  }
  report.say(
    `\nMedians of ${rounds} rounds of ${seconds} s, events of 1 KB, one trigger, an instant subscriber. From just before ` +
      'the request to the ingress is sent to its arrival at the subscriber: accepting and appending is part of it.\n',
  );
  const p50 = 'from sending to arrival: p50, ms';
  report.table(
    [
      { name: '' },
      { name: 'events/s', isName: true },
      { name: p50, digits: 1, isCharted: true },
      { name: 'p99, ms', digits: 1, isCharted: true },
      { name: 'p99.9, ms', digits: 1 },
      { name: 'CPU of the load, % of a core', digits: 1 },
    ],
    logs.flatMap((kind) =>
      rates.map((rate) => [
        ...[kind, rate],
        ...(['p50', 'p99', 'p999', 'loadCpuPercent'] as const).map((figure) =>
          results.median(`${kind} ${rate}`, figure),
        ),
      ]),
    ),
  );
  report.say();
  for (const kind of logs) {
    report.target(
      `p50 at 2,000/s on ${kind}, ms`,
      results.median(`${kind} 2000`, 'p50'),
      { below: p50MaxMs },
      { digits: 1, marks: [{ column: p50, row: `${kind}, 2000`, at: p50MaxMs }] },
    );
  }
}
