import type { Log, NewRecord } from '../../broker/log/log.ts';
import { toRecord } from '../../event/kafka.ts';

const payload = Buffer.alloc(800, 'x');
const appendedAtOnce = 500;

/**
 * Appends events of 1 KB, as their headers count, over all partitions of an events topic; of the same key to the same.
 * @param open the log, which is closed again
 * @param keys how many different partition keys; 0 for none
 */
export async function fillTopic(open: () => Promise<Log>, topic: string, events: number, keys: number): Promise<void> {
  const log = await open();
  try {
    const partitions = (await log.ranges(topic)).length;
    const fill = async (partition: number): Promise<void> => {
      for (let n = partition; n < events; ) {
        const records: NewRecord[] = [];
        for (; n < events && records.length < appendedAtOnce; n += partitions) records.push(eventRecord(n, keys));
        await log.append(topic, partition, records);
      }
    };
    await Promise.all(Array.from({ length: partitions }, (_, partition) => fill(partition)));
  } finally {
    await log.close();
  }
}

/** Event n, whose key is in the partition n modulo their count if that divides the number of keys. */
function eventRecord(n: number, keys: number): NewRecord {
  return toRecord({
    attributes: {
      specversion: '1.0',
      id: String(n),
      source: '/bench/producer',
      type: 'com.example.bench',
      subject: `subject-${n}`,
      datacontenttype: 'application/octet-stream',
      ...(keys > 0 && { partitionkey: `k${n % keys}` }),
    },
    data: payload,
  });
}
