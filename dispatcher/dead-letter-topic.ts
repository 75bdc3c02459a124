import { RecordTooLargeError } from '../broker/log/errors.ts';
import type { NewRecord } from '../broker/log/log.ts';
import type { DurableAppender } from './append.ts';
import { type SinkOutcome, toDeadLetterRecord, toDeadLetterReference } from './dead-letter.ts';
import type { Failure, GivenUp } from './fate.ts';

/** Appends to the dead-letter topic of a broker. All resolve once the record is durable, and reject as the appender. */
export class DeadLetterTopic {
  readonly #appender: DurableAppender;
  readonly #topic: () => string;

  constructor(appender: DurableAppender, topic: () => string) {
    this.#appender = appender;
    this.#topic = topic;
  }

  /** What no more is done about. @param sink what the dead letter sink said to it; null: it was not asked */
  appendFailure(delivery: GivenUp, failure: Failure, sink: SinkOutcome | null): Promise<void> {
    return this.append(toDeadLetterRecord(delivery, failure, sink), toDeadLetterReference(delivery, failure, sink));
  }

  /** @param reference what stands for the record if it is too large even here */
  async append(record: NewRecord, reference?: NewRecord): Promise<void> {
    const topic = this.#topic();
    try {
      await this.#appender.append(topic, record);
    } catch (error) {
      if (!(error instanceof RecordTooLargeError)) throw error;
      await this.#appender.append(topic, reference ?? { ...record, value: null });
    }
  }
}
