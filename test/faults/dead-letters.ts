import type { Log } from '../../broker/log/log.ts';
import { headerText } from '../../dispatcher/record-headers.ts';
import { numberOf } from '../support/unsettled.ts';

/** By trigger, the events in a dead-letter topic. */
export async function deadLettersIn(log: Log, topic: string): Promise<Map<string, Set<number>>> {
  const letters = new DeadLetters(log, topic);
  await letters.read();
  return letters.byTrigger;
}

/** Follows a dead-letter topic. */
export class DeadLetters {
  /** By the trigger's name. */
  readonly byTrigger = new Map<string, Set<number>>();
  readonly #log: Log;
  readonly #topic: string;
  readonly #positions = new Map<number, number>();

  constructor(log: Log, topic: string) {
    this.#log = log;
    this.#topic = topic;
  }

  /** Reads what is new. */
  async read(): Promise<void> {
    for (const { partition, start } of await this.#log.ranges(this.#topic)) {
      for (let offset = this.#positions.get(partition) ?? start; ; ) {
        const { records, nextOffset } = await this.#log.read(this.#topic, partition, offset, 1_048_576);
        for (const record of records) {
          const trigger = headerText(record.headers, 'posthorn-trigger')?.replace(/^.*\//, '') ?? '';
          const events = this.byTrigger.get(trigger) ?? new Set();
          this.byTrigger.set(trigger, events.add(numberOf(record)));
        }
        if (nextOffset === offset) break;
        offset = nextOffset;
        this.#positions.set(partition, offset);
      }
    }
  }
}
