import type { Logger } from 'pino';
import type { Clock } from '../../../runtime/clock.ts';
import { LogUnavailableError, RecordTooLargeError } from '../errors.ts';
import { encodedBytes, type NewRecord } from '../log.ts';
import type { Cluster } from './cluster.ts';
import { beforeDeadline, code, KafkaCodeError, persist } from './kafka-error.ts';
import type { Outage } from './outage.ts';
import { encodeRecordBatch } from './produce.ts';

/** How long a leader may wait for its replicas in one attempt, in milliseconds. Below the request timeout. */
const acknowledgeTimeoutMs = 8_000;

export interface AppenderOptions {
  readonly cluster: Pick<Cluster, 'toLeader' | 'forgetTopic'>;
  readonly appendTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly outage: Outage;
  maxMessageBytes(topic: string): Promise<number>;
}

interface Append {
  readonly records: readonly NewRecord[];
  /** The time of records that have none. */
  readonly nowMs: number;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
}

/**
 * Appends to partitions. One topic-partition a request, `acks` all, no idempotence, and success is only an answer with
 * exactly that partition and no error; whatever else comes back, or nothing at all, leaves it open whether the records
 * are in, and they are sent again. (A request of several partitions, and kafkajs's idempotent producer, have each lost
 * acknowledged records when brokers were killed.) A partition has one request in flight, so its records keep the order
 * of the calls whatever is sent again.
 */
export class Appender {
  readonly #cluster: AppenderOptions['cluster'];
  readonly #options: AppenderOptions;
  /** The last append of each partition that has any in flight. */
  readonly #tails = new Map<string, Promise<unknown>>();
  #closed = false;

  constructor(options: AppenderOptions) {
    this.#cluster = options.cluster;
    this.#options = options;
  }

  /** @returns the offset of the first record */
  async append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    if (records.length === 0) throw new RangeError('an append needs a record');
    const { clock, appendTimeoutMs } = this.#options;
    const deadlineMs = clock.monotonic() + appendTimeoutMs;
    const nowMs = clock.now();
    const key = `${topic}[${partition}]`;
    const before = this.#tails.get(key);
    const mine = (async () => {
      await before?.catch(() => {});
      return this.#send(topic, partition, { records, nowMs, deadlineMs });
    })();
    this.#tails.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(key) === mine) this.#tails.delete(key);
    }
  }

  /** Lets appends in flight end by themselves; no further attempt is made. */
  close(): void {
    this.#closed = true;
  }

  async #send(topic: string, partition: number, { records, nowMs, deadlineMs }: Append): Promise<number> {
    const { clock, logger, outage } = this.#options;
    const batch = encodeRecordBatch(records, nowMs);
    const what = `appending to ${topic}[${partition}]`;
    try {
      return await beforeDeadline(
        deadlineMs,
        clock,
        `${what} was not answered in time; whether it is in, is not known`,
        () =>
          persist({ what, topic, deadlineMs, clock, logger, outage }, async () => {
            if (this.#closed) throw new LogUnavailableError('the log is closed');
            return this.#attempt(topic, partition, batch);
          }),
      );
    } catch (error) {
      if (!(error instanceof LogUnavailableError && isTooLarge(error.cause))) throw error;
      const bytes = records.reduce((sum, record) => sum + encodedBytes(record), 0);
      throw new RecordTooLargeError(topic, bytes, await this.#options.maxMessageBytes(topic));
    }
  }

  async #attempt(topic: string, partition: number, batch: Buffer): Promise<number> {
    const { partitions } = await this.#cluster.toLeader({ topic, partition }, 'Produce', {
      ...{ acks: -1, timeout: acknowledgeTimeoutMs },
      ...{ topic, partition, batch },
    });
    const [answer, ...more] = partitions;
    if (answer === undefined || more.length > 0 || answer.topic !== topic || answer.partition !== partition) {
      this.#cluster.forgetTopic(topic);
      throw new Error(`the answer is not about ${topic}[${partition}] alone`);
    }
    if (answer.errorCode !== code.none) {
      this.#cluster.forgetTopic(topic);
      throw new KafkaCodeError(answer.errorCode, `${topic}[${partition}]`);
    }
    return answer.baseOffset;
  }
}

function isTooLarge(error: unknown): boolean {
  return (
    error instanceof KafkaCodeError && (error.code === code.messageTooLarge || error.code === code.recordListTooLarge)
  );
}
