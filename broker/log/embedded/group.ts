import { type Clock, systemClock, type Timer } from '../../../runtime/clock.ts';
import { PosthornError } from '../../../runtime/errors.ts';
import { LogUnavailableError } from '../errors.ts';
import type { EmbeddedConsumer, Grant } from './consumer.ts';
import type { Partition } from './partitions.ts';
import type { StoredCommit } from './protocol.ts';

/** What a group needs of its log. */
export interface GroupContext {
  /** The partitions of a topic, none if it was deleted. */
  partitionsOf(topic: string): readonly Partition[];
  committed(partitions: readonly number[]): Promise<readonly StoredCommit[]>;
}

/** After a rebalance that the log refused (its disk is full), in milliseconds: as soon as a person would notice. */
const retryMs = 1_000;

/**
 * The consumers of one group. At every change (a member joins or leaves, one of the topics is made or deleted) the
 * epoch rises, everybody stops, and the partitions are dealt anew from the committed positions on.
 */
export class Group {
  readonly #context: GroupContext;
  readonly #clock: Clock;
  readonly #members: EmbeddedConsumer[] = [];
  #epoch = 0;
  #retry: Timer | null = null;

  constructor(context: GroupContext, clock: Clock = systemClock) {
    this.#context = context;
    this.#clock = clock;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get members(): readonly EmbeddedConsumer[] {
    return this.#members;
  }

  join(consumer: EmbeddedConsumer): void {
    this.#members.push(consumer);
    void this.rebalance();
  }

  leave(consumer: EmbeddedConsumer): void {
    const index = this.#members.indexOf(consumer);
    if (index < 0) return;
    this.#members.splice(index, 1);
    void this.rebalance();
  }

  /** The log has failed: nothing comes any more. */
  fail(error: LogUnavailableError): void {
    this.#retry?.cancel();
    for (const member of this.#members) member.fail(error);
  }

  async rebalance(): Promise<void> {
    const epoch = ++this.#epoch;
    this.#retry?.cancel();
    if (this.#members.length === 0) return;
    for (const member of this.#members) member.suspend();
    const topics = [...new Set(this.#members.flatMap((member) => member.topics))].sort();
    const partitions = topics.flatMap((topic) => this.#context.partitionsOf(topic));
    let commits: readonly StoredCommit[];
    try {
      // Answered after the commits that are on their way, so that no position is older than what was committed.
      commits = await this.#context.committed(partitions.map((one) => one.id));
    } catch (error) {
      if (!(error instanceof PosthornError)) throw error;
      // A log that was closed or has failed ends the consumers too; whatever else it refuses, it may do later.
      if (error instanceof LogUnavailableError || epoch !== this.#epoch) return;
      this.#retry = this.#clock.setTimer(() => void this.rebalance(), retryMs);
      return;
    }
    if (epoch !== this.#epoch) return;
    const positions = new Map(commits.map((commit) => [commit.partition, commit]));
    for (const [member, own] of deal(partitions, this.#members)) {
      member.assign(
        own.map((partition) => grant(partition, positions.get(partition.id))),
        epoch,
      );
    }
  }
}

/** Deals the partitions to the members in turn, each to one that reads its topic. Pure. */
export function deal<M extends { readonly topics: readonly string[] }>(
  partitions: readonly Partition[],
  members: readonly M[],
): Map<M, Partition[]> {
  const topicsOf = members.map((member) => new Set(member.topics));
  const hands = new Map(members.map((member) => [member, [] as Partition[]]));
  let turn = 0;
  for (const partition of partitions) {
    for (let i = 0; i < members.length; i++) {
      const index = (turn + i) % members.length;
      const member = members[index];
      if (member === undefined || !topicsOf[index]?.has(partition.topic)) continue;
      hands.get(member)?.push(partition);
      turn = index + 1;
      break;
    }
  }
  return hands;
}

/**
 * Where a partition is read from: its committed position, or its beginning; within the log in any case. The metadata
 * speaks of the offset that it was committed with, so a position that had to be moved has none.
 */
function grant(partition: Partition, commit: StoredCommit | undefined): Grant {
  const { topic, partition: number, start, end } = partition;
  const committed = commit?.offset ?? start;
  const offset = Math.min(Math.max(committed, start), end);
  const outside = offset === committed ? null : committed;
  const metadata = outside === null ? (commit?.metadata ?? '') : '';
  return { partition, assignment: { topic, partition: number, offset, metadata, end }, outside };
}
