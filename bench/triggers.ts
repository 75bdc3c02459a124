import { randomBytes } from 'node:crypto';
import { startPosthorn } from '../test/support/posthorn.ts';
import { applyTo, triggerYaml } from '../test/support/triggers.ts';
import { type BacklogFigures, measureBacklog } from './lib/backlog.ts';
import type { Contestant } from './lib/contestant.ts';
import { judge, median, printTable } from './lib/figures.ts';
import type { BenchOptions } from './run.ts';

const counts = [1, 100, 1_000, 10_000];
const events = 60_000;
const appliedAtOnce = 500;

/** What an event costs end to end beside T triggers, of which it matches one. */
export async function triggers({ brokers, rounds, signal }: BenchOptions): Promise<boolean> {
  const results = new Map<number, BacklogFigures[]>(counts.map((count) => [count, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const count of counts) {
      signal.throwIfAborted();
      const figures = await measureBacklog(brokers, posthornWith(count), { events, keys: 0 });
      results.get(count)?.push(figures);
      console.log(
        `round ${round}, ${count} triggers: ${Math.round(figures.perSecond)} deliveries/s, ` +
          `${figures.cpuPer100k.toFixed(2)} CPU s per 100k, ${Math.round(figures.peakMiB)} MiB at its peak`,
      );
    }
  }
  const of = (count: number, figure: keyof BacklogFigures): number =>
    median((results.get(count) ?? []).map((one) => one[figure]));
  console.log(`\nMedians of ${rounds} rounds, ${events} events of 1 KB, each for one of the triggers.\n`);
  printTable(
    ['triggers', 'deliveries/s', 'CPU s per 100k', 'peak memory, MiB'],
    counts.map((count) => [
      count,
      Math.round(of(count, 'perSecond')),
      of(count, 'cpuPer100k').toFixed(2),
      Math.round(of(count, 'peakMiB')),
    ]),
  );
  console.log('');
  const ratio = (count: number): number => of(count, 'cpuPer100k') / of(1, 'cpuPer100k');
  return [
    judge(`1,000 triggers at most 1.2 times one: ${ratio(1_000).toFixed(2)}`, ratio(1_000) <= 1.2),
    judge(`10,000 triggers at most 1.5 times one: ${ratio(10_000).toFixed(2)}`, ratio(10_000) <= 1.5),
    judge(`memory with 1,000 triggers below 350 MiB: ${Math.round(of(1_000, 'peakMiB'))}`, of(1_000, 'peakMiB') < 350),
  ].every(Boolean);
}

/** One of the triggers wants the events; the others want other types. */
function posthornWith(count: number): Contestant {
  return {
    name: `${count} triggers`,
    async prepare(brokers, url) {
      const prefix = `bench${randomBytes(4).toString('hex')}`;
      const args = ['--kafka', brokers, '--prefix', prefix, '--replication-factor', '1'];
      const before = await startPosthorn(args);
      for (let first = 0; first < count; first += appliedAtOnce) {
        const manifests: string[] = [];
        for (let i = first; i < Math.min(count, first + appliedAtOnce); i++) {
          const type = i === 0 ? 'com.example.bench' : `com.example.other.${i}`;
          manifests.push(triggerYaml(`t${i}`, url, { filters: `[{ exact: { type: ${type} } }]` }));
        }
        await applyTo(before.adminUrl, ...manifests);
      }
      await before.stop();
      return { topic: `${prefix}.default.default`, start: () => startPosthorn(args, {}, { awaitsReady: false }) };
    },
  };
}
