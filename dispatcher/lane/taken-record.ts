import type { LogRecord, TopicPartition } from '../../broker/log/log.ts';
import type { Hold } from '../fate.ts';
import type { RepeatBound } from '../repeat-bound.ts';
import type { OwnedPartition } from './owned-partition.ts';

/** A record that was handed out; it holds its place in the window until it is settled or dropped. */
export interface TakenRecord extends TopicPartition, Hold {
  readonly record: LogRecord;
}

/** Told once of each record. */
export type OnFinished = (owned: OwnedPartition, record: LogRecord, settledFor: readonly RepeatBound[] | null) => void;

/** Settles or is dropped once: the first says which. */
export class Taken implements TakenRecord {
  readonly record: LogRecord;
  readonly #owned: OwnedPartition;
  readonly #onFinished: OnFinished;
  #isDone = false;

  constructor(owned: OwnedPartition, record: LogRecord, onFinished: OnFinished) {
    this.record = record;
    this.#owned = owned;
    this.#onFinished = onFinished;
  }

  get topic(): string {
    return this.#owned.topic;
  }

  get partition(): number {
    return this.#owned.partition;
  }

  get isRevoked(): boolean {
    return this.#owned.isRevoked;
  }

  settle(...bounds: readonly RepeatBound[]): void {
    this.#finish(bounds);
  }

  drop(): void {
    this.#finish(null);
  }

  #finish(settledFor: readonly RepeatBound[] | null): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#onFinished(this.#owned, this.record, settledFor);
  }
}
