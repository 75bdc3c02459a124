import { type Committed, settledBy } from '../support/settled-set.ts';
import type { GenerationEntry, GroupEntry, GroupMember } from './group-history.ts';
import type { Life } from './member.ts';

/** A partition changed hands (or was given up and taken again by the same process) while some of it was unsettled. */
export interface Handover {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  /** Milliseconds since 1970. The owner after it goes by what was committed until then. */
  readonly atMs: number;
  /** The process that had it before. */
  readonly from: Life;
  readonly cause: HandoverCause;
  readonly committed: Committed;
}

/**
 * Why it changed hands: its owner was killed, or left; its owner gave it up by itself because Kafka was silent or had
 * put it out of the group (and said so in a log line); or the group dealt its partitions anew.
 */
export type HandoverCause = 'kill' | 'leave' | 'given-up' | 'rebalance';

/** When which process said that it gave a group's partitions up. */
export interface GivenUp {
  readonly group: string;
  readonly slot: number;
  readonly atMs: number;
  /** Whether it could only say so as a member; else it may have failed to become one, and had nothing to give up. */
  readonly wasMember: boolean;
}

/** A process that ends tells its group at the end, or never does, in milliseconds. */
const endingMs = 1_000;
/** Who has given a group up joins it again no sooner, in milliseconds. */
const rejoinMs = 500;

interface OwnedPartition {
  readonly topic: string;
  readonly partition: number;
  committed: Committed;
  owner: Life | null;
  givenUpMs: number;
  /** Whether nothing tells that its owner has taken it again. */
  isGivenUp: boolean;
}

export interface GroupTrackerOptions {
  readonly lives: readonly Life[];
  /** The slot of a process that joins from this address. */
  readonly slotOf: (host: string) => number;
  /** Of this group alone. */
  readonly givenUp: readonly GivenUp[];
}

/** Finds all handovers of a group in its history, which it takes entry by entry. */
export class GroupTracker {
  readonly handovers: Handover[] = [];
  readonly #group: string;
  readonly #options: GroupTrackerOptions;
  readonly #givenUp: GivenUp[];
  readonly #partitions = new Map<string, OwnedPartition>();
  /** A member belongs to the life of its process in which it was first seen. */
  readonly #lives = new Map<string, Life>();

  constructor(group: string, options: GroupTrackerOptions) {
    this.#group = group;
    this.#options = options;
    this.#givenUp = options.givenUp.toSorted((a, b) => a.atMs - b.atMs);
  }

  take(entry: GroupEntry): void {
    for (let next = this.#givenUp[0]; next !== undefined && next.atMs <= entry.atMs; next = this.#givenUp[0]) {
      this.#givenUp.shift();
      for (const partition of this.#partitions.values()) {
        if (partition.owner?.slot !== next.slot || (partition.isGivenUp && !next.wasMember)) continue;
        this.#handOver(partition, next.atMs, 'given-up');
        partition.givenUpMs = next.atMs;
        partition.isGivenUp = true;
      }
    }
    if (entry.kind === 'generation') {
      this.#deal(entry);
      return;
    }
    const partition = this.#partition(entry.topic, entry.partition);
    partition.committed = { offset: entry.offset, metadata: entry.metadata };
    partition.isGivenUp = false;
  }

  #deal({ members, atMs }: GenerationEntry): void {
    for (const member of members) {
      const life = this.#lifeOf(member, atMs);
      for (const [topic, partitions] of Object.entries(member.assignment)) {
        for (const id of partitions) {
          const partition = this.#partition(topic, id);
          if (partition.owner !== life) this.#handOver(partition, atMs, causeOf(partition.owner, atMs));
          partition.owner = life;
          partition.isGivenUp = false;
        }
      }
    }
  }

  #lifeOf({ memberId, host }: GroupMember, atMs: number): Life {
    const slot = this.#options.slotOf(host);
    const known = this.#lives.get(memberId);
    const life = known ?? this.#options.lives.findLast((one) => one.slot === slot && one.startedAtMs <= atMs);
    if (life === undefined) throw new Error(`a member of ${this.#group} from ${host}, where no process was started`);
    this.#lives.set(memberId, life);
    return life;
  }

  #partition(topic: string, id: number): OwnedPartition {
    const key = `${topic}/${id}`;
    let partition = this.#partitions.get(key);
    if (partition === undefined) {
      const committed = { offset: 0, metadata: '' };
      const never = { owner: null, givenUpMs: Number.NEGATIVE_INFINITY, isGivenUp: false };
      partition = { topic, partition: id, committed, ...never };
      this.#partitions.set(key, partition);
    }
    return partition;
  }

  #handOver(partition: OwnedPartition, atMs: number, cause: HandoverCause): void {
    const { topic, partition: id, committed, owner, givenUpMs } = partition;
    // What was given up and can't have been taken again is handed over once.
    if (owner === null || atMs - givenUpMs < rejoinMs) return;
    this.handovers.push({ group: this.#group, topic, partition: id, atMs, from: owner, cause, committed });
  }
}

function causeOf(owner: Life | null, atMs: number): HandoverCause {
  if (owner === null || owner.endedAtMs === null || owner.endedAtMs > atMs + endingMs) return 'rebalance';
  return owner.how === 'leave' ? 'leave' : 'kill';
}

/** Which of these records were unsettled, by what was committed. Pure. */
export function unsettledOf<T extends { readonly offset: number }>(records: readonly T[], committed: Committed): T[] {
  const isSettled = settledBy(committed);
  return records.filter(({ offset }) => !isSettled(offset));
}
