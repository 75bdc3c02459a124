import type {
  Assignment,
  ConsumeOptions,
  Log,
  LogRecord,
  LostRange,
  NewRecord,
  TopicCommit,
  TopicPartition,
} from '../../broker/log/log.ts';

/**
 * A consumer that does what the test says, when it says so, where a log would do it at a time of its own. Of
 * the port only what lanes use is there.
 */
export class ScriptedLog {
  readonly commits: TopicCommit[][] = [];
  readonly trims: { topic: string; partition: number; before: number }[] = [];
  readonly paused = new Set<string>();
  /** What `consume` waits for. */
  consumeWaitsFor: Promise<void> = Promise.resolve();
  /** What `commit` rejects with. */
  refuseCommits: Error | undefined;
  /** What `commit` waits for. */
  commitsWaitFor: Promise<void> = Promise.resolve();
  commitsUnderWay = 0;
  /** Of the commits that were made. */
  readonly epochs: number[] = [];
  consumers = 0;
  #options: ConsumeOptions | undefined;

  readonly log = {
    trim: async (topic: string, partition: number, before: number) => {
      this.trims.push({ topic, partition, before });
    },
    consume: async (given: ConsumeOptions) => {
      await this.consumeWaitsFor;
      this.#options = given;
      this.consumers++;
      return {
        pause: (partitions: readonly TopicPartition[]) => {
          for (const one of partitions) this.paused.add(keyOf(one));
        },
        resume: (partitions: readonly TopicPartition[]) => {
          for (const one of partitions) this.paused.delete(keyOf(one));
        },
        commit: async (epoch: number, some: readonly TopicCommit[]) => {
          if (this.refuseCommits) throw this.refuseCommits;
          this.commitsUnderWay++;
          await this.commitsWaitFor;
          this.commitsUnderWay--;
          this.commits.push([...some]);
          this.epochs.push(epoch);
        },
        close: async () => given.handler.assigned([], 99),
      };
    },
  } as unknown as Log;

  assign(partitions: readonly Partial<Assignment>[], epoch = 1): void {
    this.#handler.assigned(
      partitions.map((one) => ({ topic: 'events', partition: 0, offset: 0, metadata: '', end: 10_000, ...one })),
      epoch,
    );
  }

  /** Tells that the log deleted what was not read yet. */
  lose(range: LostRange): void {
    this.#handler.lost(range);
  }

  /** Offers records and returns how many were taken. */
  offer(records: readonly LogRecord[], at: Partial<TopicPartition & { nextOffset: number }> = {}): number {
    const { topic = 'events', partition = 0, nextOffset = (records.at(-1)?.offset ?? 0) + 1 } = at;
    return this.#handler.records({ topic, partition, records, nextOffset });
  }

  get #handler() {
    if (!this.#options) throw new Error('nobody consumes');
    return this.#options.handler;
  }
}

/** A record for tests as the log hands it out. */
export function logRecord(offset: number, record: Partial<LogRecord> = {}): LogRecord {
  return { offset, timestampMs: 0, key: null, value: Buffer.alloc(100), headers: {}, ...record };
}

/** What was appended, as the log hands it out. */
export function asLogRecord({ key, value, headers }: NewRecord, offset = 0): LogRecord {
  const bytes = Object.entries(headers).map(([name, one]) => [name, Buffer.from(String(one))]);
  return { offset, timestampMs: 0, key, value, headers: Object.fromEntries(bytes) };
}

function keyOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
