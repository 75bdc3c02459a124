import type { Trigger } from '../../broker/trigger/trigger.ts';
import type { Delivery, Hold } from '../fate.ts';
import { type DecodedRecord, firstDelivery } from './intake.ts';

interface Placeable {
  readonly delivery: Delivery;
  readonly hold: Hold;
}

/** An event of the log, with the triggers whose filters it passes. */
export interface MatchedRecord {
  readonly decoded: DecodedRecord;
  readonly triggers: readonly Trigger[];
  /** That the deliveries to the triggers share. */
  readonly hold: Hold;
  /** On the monotonic clock. */
  readonly sinceMs: number;
}

/** Deliveries that wait to be placed, in the order of the log. */
export class MatchedRecords {
  /** Without those that are placed, whose places are empty until they are cut off. */
  #records: (MatchedRecord | undefined)[] = [];
  /** Index of the first record that waits, and of its first trigger that waits. */
  #record = 0;
  #trigger = 0;
  /** By uid: how many deliveries wait. */
  readonly #waiting = new Map<string, number>();
  readonly #triggers = new Map<string, Trigger>();

  /** @param placed how many of its deliveries don't wait any more */
  push(record: MatchedRecord, placed = 0): void {
    this.#records.push(record);
    for (const [index, trigger] of record.triggers.entries()) {
      if (index < placed) continue;
      const waiting = this.#waiting.get(trigger.uid) ?? 0;
      if (waiting === 0) this.#triggers.set(trigger.uid, trigger);
      this.#waiting.set(trigger.uid, waiting + 1);
    }
  }

  /** Records of which a delivery waits. */
  get size(): number {
    return this.#records.length - this.#record;
  }

  /** Since when the first has waited. */
  get sinceMs(): number | undefined {
    return this.#records[this.#record]?.sinceMs;
  }

  /** The trigger of the delivery that is next. */
  next(): Trigger | undefined {
    return this.#records[this.#record]?.triggers[this.#trigger];
  }

  /** Removes the delivery that is next, which is to this trigger. */
  take(trigger: Trigger): Placeable {
    const record = this.#records[this.#record];
    if (record === undefined || record.triggers[this.#trigger] !== trigger) throw new Error('it is not the next');
    const waiting = this.#waiting.get(trigger.uid) ?? 0;
    if (waiting > 1) this.#waiting.set(trigger.uid, waiting - 1);
    else {
      this.#waiting.delete(trigger.uid);
      this.#triggers.delete(trigger.uid);
    }
    this.#trigger++;
    if (this.#trigger === record.triggers.length) this.#nextRecord();
    return { hold: record.hold, delivery: firstDelivery(record.decoded, trigger) };
  }

  #nextRecord(): void {
    this.#records[this.#record] = undefined;
    this.#trigger = 0;
    this.#record++;
    // Compacts now and then: removing at the front of a long array each time would cost its length.
    if (this.#record < 1_024 && this.#record < this.#records.length) return;
    this.#records = this.#records.slice(this.#record);
    this.#record = 0;
  }

  /** By uid: the triggers of the deliveries that wait. */
  get triggers(): ReadonlyMap<string, Trigger> {
    return this.#triggers;
  }

  dropAll(): void {
    this.#keep(() => false);
  }

  /** Drops the records that are another's by now. */
  dropRevoked(): void {
    this.#keep(({ decoded }) => !decoded.taken.isRevoked);
  }

  #keep(isKept: (record: MatchedRecord) => boolean): void {
    const waiting = this.#records.slice(this.#record).filter((record) => record !== undefined);
    const [first] = waiting;
    // Of the first record some deliveries may be placed already.
    const placed = first && isKept(first) ? this.#trigger : 0;
    this.#records = [];
    this.#record = 0;
    this.#trigger = 0;
    this.#waiting.clear();
    this.#triggers.clear();
    for (const record of waiting) {
      if (!isKept(record)) record.decoded.taken.drop();
      else this.push(record, record === first ? placed : 0);
    }
    this.#trigger = placed;
  }
}
