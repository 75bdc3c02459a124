import type { StartAt, TopicSpec } from '../log.ts';

/**
 * What the main thread and the worker thread of the embedded log say to each other. Partitions go by the id that the
 * storage gave them, which no later partition gets again.
 */
export interface Operations {
  append: { request: AppendRequest; reply: number };
  read: { request: ReadRequest; reply: StoredBatches };
  /** Answers an offset for each of the partitions. */
  offsetsAt: { request: { partitions: readonly number[]; timestampMs: number }; reply: readonly number[] };
  /** Answers where the partition starts now. */
  trim: { request: { partition: number; before: number }; reply: number };
  createTopic: { request: { name: string; spec: TopicSpec }; reply: StoredTopic };
  deleteTopic: { request: { topic: number }; reply: null };
  commit: { request: { group: string; commits: readonly StoredCommit[] }; reply: null };
  committed: { request: { group: string; partitions: readonly number[] }; reply: readonly StoredCommit[] };
  /** Commits where the partitions of a topic, all of them in their order, start, as `ConsumeOptions.startAt` says. */
  begin: { request: { group: string; topic: string; partitions: readonly number[]; startAt: StartAt }; reply: null };
  deleteGroup: { request: { group: string }; reply: null };
  /** Begins to delete what is past its topic's retention; answers before that is done. */
  retain: { request: { nowMs: number }; reply: null };
  close: { request: Record<never, never>; reply: null };
}

export type Kind = keyof Operations;

export type Request = {
  [K in Kind]: { readonly id: number; readonly kind: K; readonly body: Readonly<Operations[K]['request']> };
}[Kind];

/** Everything that was asked for in one turn of the main thread's loop. */
export interface RequestMessage {
  readonly requests: readonly Request[];
  /** The records of all appends among them, one after the other. */
  readonly data: Uint8Array;
}

export interface AppendRequest {
  readonly partition: number;
  readonly count: number;
  /** The latest time among the records. */
  readonly timestampMs: number;
  /** Where the records lie in the message's data. */
  readonly from: number;
  readonly to: number;
}

export interface ReadRequest {
  readonly partition: number;
  readonly from: number;
  readonly maxBytes: number;
  readonly maxRecords: number;
}

/** The records of whole appends; the first of them may begin below the offset that was asked for. */
export interface StoredBatches {
  /** The offset that was asked for, or the start of the partition where that is above it. */
  readonly from: number;
  readonly batches: readonly { readonly baseOffset: number; readonly count: number }[];
  /** The records of all batches, one after the other. */
  readonly data: Uint8Array;
}

export interface StoredTopic {
  readonly id: number;
  readonly name: string;
  readonly spec: TopicSpec;
  readonly partitions: readonly StoredPartition[];
}

export interface StoredPartition {
  readonly id: number;
  readonly partition: number;
  readonly start: number;
  readonly end: number;
}

export interface StoredCommit {
  readonly partition: number;
  readonly offset: number;
  readonly metadata: string;
}

export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly refused: 'full' | 'unknownPartition' };

export type WorkerMessage =
  | { readonly kind: 'opened'; readonly topics: readonly StoredTopic[]; readonly full: boolean }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'answers'; readonly answers: readonly Answer[] }
  /** Retention has moved the start of a partition. */
  | { readonly kind: 'moved'; readonly partition: number; readonly start: number }
  /** The disk has become full, or has room again. */
  | { readonly kind: 'full'; readonly full: boolean };

/** Why the log can't be opened. */
export type Refusal =
  | { readonly reason: 'locked'; readonly holder: string }
  | { readonly reason: 'unusable'; readonly message: string };

export interface WorkerOptions {
  readonly directory: string;
  readonly reserveBytes: number;
}
