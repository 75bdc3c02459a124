import type { Log } from '../../broker/log/log.ts';
import { toRecord } from '../../event/kafka.ts';
import { testEvent } from './events.ts';

/** Records of one append: as much as a producer gathers under load. */
const batchRecords = 250;

/**
 * Puts events with the numbers from `first` to `last` into a topic without an ingress, evenly over its partitions: a
 * backlog for a Posthorn that starts later. The topic must be there.
 */
export async function appendNumbered(
  log: Log,
  topic: string,
  range: { readonly first: number; readonly last: number },
  attributes: Readonly<Record<string, string>> = {},
): Promise<void> {
  const partitions = (await log.ranges(topic)).map(({ partition }) => partition);
  const byPartition = Map.groupBy(
    Array.from({ length: range.last - range.first + 1 }, (_, index) => range.first + index),
    (event) => partitions[event % partitions.length] ?? 0,
  );
  await Promise.all(
    [...byPartition].map(async ([partition, events]) => {
      for (let from = 0; from < events.length; from += batchRecords) {
        const batch = events.slice(from, from + batchRecords);
        await log.append(
          topic,
          partition,
          batch.map((event) => toRecord(testEvent({ id: String(event), ...attributes }))),
        );
      }
    }),
  );
}
