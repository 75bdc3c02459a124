import type { Assignment, LostRange, TopicCommit, TopicPartition } from '../../broker/log/log.ts';
import type { RepeatBound } from '../repeat-bound.ts';
import { Offsets } from '../settle.ts';
import type { WindowPart } from './window.ts';

/** A partition that a lane's reader owns: what of it is settled, and what of that the log knows. */
export class OwnedPartition implements TopicPartition, WindowPart {
  readonly topic: string;
  readonly partition: number;
  readonly offsets: Offsets;
  inFlight = 0;
  bytes = 0;
  /** Whether there is something to commit. */
  isDirty = true;
  /** The offset of the first record that was not taken for want of room; null if it is not held back. */
  heldAt: number | null = null;
  /** What is below was settled, or lost, before the partition was ours. */
  readonly #firstOffset: number;
  /** The end of the log when it was assigned last. */
  #assignedEnd: number;
  #isRevoked = false;
  /** Settled since the last commit began, by whose bound they count for. */
  #uncommitted: Counts = new Map();
  /** What a commit on its way covers. */
  #committing: Counts = new Map();
  #committingOffset = 0;
  #acknowledgedOffset = 0;

  constructor(assignment: Assignment) {
    this.topic = assignment.topic;
    this.partition = assignment.partition;
    this.#firstOffset = assignment.offset;
    this.#assignedEnd = assignment.end;
    this.offsets = new Offsets(assignment, assignment.end);
  }

  /** Whether nothing waits in it, as far as known without asking the log: all that came is settled. */
  get isDrained(): boolean {
    return this.heldAt === null && this.offsets.isSettled && this.offsets.position >= this.#assignedEnd;
  }

  /** Another owns the partition by now, or what is known of it here is void. */
  get isRevoked(): boolean {
    return this.#isRevoked;
  }

  /** It is ours again, or still, and is offered anew from what is committed. */
  rejoin(assignment: Assignment): void {
    this.#assignedEnd = assignment.end;
    this.offsets.rejoin(assignment, assignment.end);
    // A commit of the previous owner may land after the join: the owner commits again, whatever has changed.
    this.isDirty = true;
  }

  /**
   * What of a range that the log has deleted is not known to be settled; null if all is. After a rejoin the log offers
   * again what has settled here meanwhile, and that may be trimmed before it is offered.
   */
  lostOf(range: LostRange): LostRange | null {
    if (range.from < this.#firstOffset) return range;
    const from = Math.max(range.from, this.offsets.position);
    return from < range.to ? { ...range, from } : null;
  }

  settle(offset: number, bounds: readonly RepeatBound[]): void {
    this.offsets.settle(offset);
    for (const bound of bounds) {
      bound.settled();
      add(this.#uncommitted, bound, 1);
    }
    this.isDirty = true;
  }

  /** What to commit. One commit at a time: it is acknowledged, or it failed, before the next begins. */
  beginCommit(): TopicCommit {
    this.isDirty = false;
    this.#committing = this.#uncommitted;
    this.#uncommitted = new Map();
    const commit = this.offsets.commit(this.partition);
    this.#committingOffset = commit.offset;
    return { topic: this.topic, ...commit };
  }

  commitAcknowledged(): Committed {
    tellCommitted(this.#committing);
    this.#committing = new Map();
    const { topic, partition } = this;
    const committed = { topic, partition, offset: this.#committingOffset, unreadBelow: this.#acknowledgedOffset };
    this.#acknowledgedOffset = committed.offset;
    return committed;
  }

  commitFailed(): void {
    this.isDirty = true;
    for (const [bound, count] of this.#committing) add(this.#uncommitted, bound, count);
    this.#committing = new Map();
  }

  /** What settles from now on is for the next owner to find out. */
  revoke(): void {
    this.#isRevoked = true;
    for (const counts of [this.#committing, this.#uncommitted]) {
      tellCommitted(counts);
      counts.clear();
    }
  }
}

export interface Committed extends TopicPartition {
  readonly offset: number;
  /**
   * No owner of the partition, nor the next one, begins to read below it: the commit before this one. A commit that the
   * group takes while it deals its partitions anew can be acknowledged after their next owner has read the positions;
   * that owner then has the one before.
   */
  readonly unreadBelow: number;
}

type Counts = Map<RepeatBound, number>;

function add(counts: Counts, bound: RepeatBound, count: number): void {
  counts.set(bound, (counts.get(bound) ?? 0) + count);
}

function tellCommitted(counts: Counts): void {
  for (const [bound, count] of counts) bound.committed(count);
}
