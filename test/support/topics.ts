import type { Log, LogRecord } from '../../broker/log/log.ts';

/** All records of a topic, partition by partition. */
export async function readTopic(log: Log, topic: string): Promise<LogRecord[]> {
  const all: LogRecord[] = [];
  for (const { partition, start, end } of await log.ranges(topic)) {
    for (let offset = start; offset < end; ) {
      const { records, nextOffset } = await log.read(topic, partition, offset, 1_048_576);
      all.push(...records);
      offset = nextOffset;
    }
  }
  return all;
}

/** The headers of a record as text. */
export function textHeaders(record: LogRecord | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(record?.headers ?? {}).map(([name, value]) => [name, String(value)]));
}
