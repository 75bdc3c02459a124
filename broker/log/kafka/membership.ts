import type { Clock } from '../../../runtime/clock.ts';
import type { TopicCommit } from '../log.ts';
import {
  assign,
  assignorName,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  type TopicAssignment,
} from './assign.ts';
import type { Cluster } from './cluster.ts';
import { code, KafkaCodeError } from './kafka-error.ts';
import type { Api } from './kafkajs-api.ts';

/** One generation of the group, as this member sees it. */
export interface Generation {
  readonly generationId: number;
  readonly memberId: string;
  readonly assignment: TopicAssignment;
  /** On the monotonic clock, in milliseconds: before it took its partitions over. Its session lasts from then on. */
  readonly syncedMs: number;
  /** What the group's leader looks after; null for other members. */
  readonly leads: {
    /** Of all members together. */
    readonly topics: readonly string[];
    /** As many of them as existed, with their partitions. */
    readonly partitions: ReadonlyMap<string, readonly number[]>;
  } | null;
}

type JoinAnswer = Api['JoinGroup']['response'];

export interface MembershipOptions {
  /** For joining and heartbeats alone: a join occupies its connection until the whole group has joined. */
  readonly cluster: Cluster;
  readonly group: string;
  readonly topics: readonly string[];
  /** A member that is silent for so long has left, in milliseconds. Also how long a rebalance waits for members. */
  readonly sessionTimeoutMs: number;
  readonly clock: Clock;
}

/** A member of a consumer group: joins, stays alive, commits, leaves. Kafka's classic group protocol, eager. */
export class Membership {
  readonly #cluster: Cluster;
  readonly #group: string;
  readonly #topics: readonly string[];
  readonly #sessionTimeoutMs: number;
  readonly #clock: Clock;
  #memberId = '';
  /** The first request of a new member, which only gives it its name. */
  #naming: Promise<JoinAnswer> | null = null;
  #hasLeft = false;

  constructor({ cluster, group, topics, sessionTimeoutMs, clock }: MembershipOptions) {
    this.#cluster = cluster;
    this.#group = group;
    this.#topics = topics;
    this.#sessionTimeoutMs = sessionTimeoutMs;
    this.#clock = clock;
  }

  /** Joins, or joins again. One attempt: a rebalance that overtakes it fails it with a transient error. */
  async join(): Promise<Generation> {
    const joined = await this.#join();
    const { generationId, memberId } = joined;
    const members = joined.members.map((member) => ({
      memberId: member.memberId,
      topics: decodeSubscription(member.memberMetadata),
    }));
    const topics = [...new Set(members.flatMap((member) => member.topics))];
    const leads =
      joined.leaderId === memberId ? { topics, partitions: await this.#cluster.freshPartitions(topics) } : null;
    const groupAssignment =
      leads === null
        ? []
        : [...assign(members, leads.partitions)].map(([member, assignment]) => ({
            memberId: member,
            memberAssignment: encodeAssignment(assignment),
          }));
    const syncedMs = this.#clock.monotonic();
    const synced = await this.#cluster.toCoordinator(this.#group, 'SyncGroup', {
      groupId: this.#group,
      generationId,
      memberId,
      groupAssignment,
    });
    this.#require(synced.errorCode, 'taking over partitions');
    return { generationId, memberId, assignment: decodeAssignment(synced.memberAssignment), syncedMs, leads };
  }

  async #join(): Promise<JoinAnswer> {
    if (this.#hasLeft) throw this.#leftError();
    const request = {
      groupId: this.#group,
      sessionTimeout: this.#sessionTimeoutMs,
      rebalanceTimeout: this.#sessionTimeoutMs,
      protocolType: 'consumer',
      groupProtocols: [{ name: assignorName, metadata: encodeSubscription(this.#topics) }],
    } as const;
    const send = () => this.#cluster.toCoordinator(this.#group, 'JoinGroup', { ...request, memberId: this.#memberId });
    let joined: JoinAnswer;
    if (this.#memberId === '') {
      this.#naming = send();
      try {
        joined = await this.#naming;
      } finally {
        this.#naming = null;
      }
    } else joined = await send();
    if (joined.errorCode === code.memberIdRequired) {
      this.#memberId = joined.memberId;
      if (this.#hasLeft) throw this.#leftError();
      joined = await send();
    }
    this.#require(joined.errorCode, 'joining');
    this.#memberId = joined.memberId;
    return joined;
  }

  /** @throws KafkaCodeError `rebalanceInProgress` when it is time to join again */
  async heartbeat({ generationId, memberId }: Generation): Promise<void> {
    const { errorCode } = await this.#cluster.toCoordinator(this.#group, 'Heartbeat', {
      groupId: this.#group,
      groupGenerationId: generationId,
      memberId,
    });
    this.#require(errorCode, 'the heartbeat');
  }

  /**
   * Commits under a generation; Kafka refuses one that has passed, so a late commit can never land.
   * @param cluster on whose connections, which must not be those of a join
   */
  async commit(
    cluster: Cluster,
    { generationId, memberId }: Pick<Generation, 'generationId' | 'memberId'>,
    commits: readonly TopicCommit[],
  ): Promise<void> {
    for (const some of commitRequests(this.#group, commits)) {
      const answer = await cluster.toCoordinator(this.#group, 'OffsetCommit', {
        groupId: this.#group,
        groupGenerationId: generationId,
        memberId,
        topics: [...Map.groupBy(some, ({ topic }) => topic)].map(([topic, its]) => ({
          topic,
          partitions: its.map(({ partition, offset, metadata }) => ({ partition, offset: String(offset), metadata })),
        })),
      });
      for (const { topic, partitions } of answer.responses) {
        for (const { partition, errorCode } of partitions) {
          cluster.requireCoordinated(this.#group, errorCode, `the commit of ${topic}[${partition}]`);
        }
      }
    }
  }

  /**
   * Tells the group that this member goes, so that it need not wait for its session to time out.
   * A member that is being named is waited for: the group would, too, until its session times out. No join after this.
   * @param cluster on whose connections: ours may be waiting for a join
   */
  async leave(cluster: Cluster): Promise<void> {
    this.#hasLeft = true;
    const named = await this.#naming?.catch(() => null);
    if (named?.errorCode === code.memberIdRequired) this.#memberId = named.memberId;
    const memberId = this.#memberId;
    this.#memberId = '';
    if (memberId === '') return;
    const payload = { groupId: this.#group, memberId };
    const { errorCode } = await cluster.toCoordinator(this.#group, 'LeaveGroup', payload);
    cluster.requireCoordinated(this.#group, errorCode, `leaving group ${this.#group}`);
  }

  #leftError(): Error {
    return new Error(`the member has left group ${this.#group}`);
  }

  #require(errorCode: number, what: string): void {
    if (errorCode === code.unknownMemberId) this.#memberId = '';
    this.#cluster.requireCoordinated(this.#group, errorCode, `${what} in group ${this.#group}`);
  }
}

/**
 * Kafka writes what one request commits as one batch, which its topic of offsets takes up to 1 MiB (message.max.bytes);
 * 250 settled sets of the longest kind fill that. Half of it leaves room for what Kafka adds.
 */
const commitRequestBytesMax = 524_288;
/** Of a partition: offset, times, epoch, and the framing of a record. */
const commitEntryBytes = 64;

/** The commits, in as many requests as they need. Pure. */
export function commitRequests(group: string, commits: readonly TopicCommit[]): TopicCommit[][] {
  const requests: TopicCommit[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const commit of commits) {
    const entryBytes = commitEntryBytes + group.length + commit.topic.length + commit.metadata.length;
    bytes += entryBytes;
    if (bytes > commitRequestBytesMax) {
      requests.push([]);
      bytes = entryBytes;
    }
    requests.at(-1)?.push(commit);
  }
  return requests;
}

/** The generation has passed or the group does not know the member: its partitions may be another's by now. */
export function isOustedError(error: unknown): boolean {
  return (
    error instanceof KafkaCodeError && (error.code === code.illegalGeneration || error.code === code.unknownMemberId)
  );
}

export function isRebalanceError(error: unknown): boolean {
  return error instanceof KafkaCodeError && error.code === code.rebalanceInProgress;
}
