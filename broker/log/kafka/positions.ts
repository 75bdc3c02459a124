import {
  type Assignment,
  type Commit,
  type LostRange,
  offsetIn,
  type StartAt,
  type TopicCommit,
  type TopicOffsets,
} from '../log.ts';
import type { Cluster } from './cluster.ts';
import type { Generation, Membership } from './membership.ts';
import {
  earliest,
  fetchCommits,
  latest,
  listOffsets,
  type Offsets,
  offsetOf,
  type TopicPartitions,
} from './offsets.ts';

export interface Positions {
  readonly assignments: readonly Assignment[];
  readonly lost: readonly LostRange[];
  /** Positions beyond the end of their partition, which read from its beginning again. */
  readonly beyond: readonly BeyondEnd[];
}

export interface BeyondEnd {
  readonly topic: string;
  readonly partition: number;
  readonly committed: number;
  readonly start: number;
  readonly end: number;
}

export interface PositionsOptions {
  readonly cluster: Cluster;
  readonly membership: Membership;
  readonly group: string;
  readonly generation: Generation;
  readonly startAt: StartAt;
}

/** The leader of the group has not committed the starts of a topic yet. Ask again. */
export class StartsPendingError extends Error {
  constructor(topic: string) {
    super(`the start of ${topic} is not committed yet`);
    this.name = 'StartsPendingError';
  }
}

/**
 * Reads where the partitions of an assignment go on. The starts of a topic on which the group has no commit at all are
 * resolved by the group's leader, for all of its partitions at once, and committed; other members wait for that, so two
 * that join a new group together can't take the end of the log for two different places. A partition that has no commit
 * where others of its topic do was added later and starts at its beginning. With offsets that are kept elsewhere, each
 * partition without a commit starts at its own, which every member knows.
 *
 * @throws StartsPendingError, KafkaCodeError, and what breaks connections: ask again
 */
export async function readPositions(options: PositionsOptions): Promise<Positions> {
  const { cluster, group, generation, startAt } = options;
  const own = Object.entries(generation.assignment).map(([topic, partitions]) => ({ topic, partitions }));
  const whole = await wholeTopics(cluster, generation, own);
  const commits = await fetchCommits(cluster, group, whole);

  const unstarted = whole.filter(({ topic }) => (commits.get(topic) ?? []).length === 0);
  if (typeof startAt === 'object') {
    for (const { topic, partitions } of own)
      commits.set(topic, startedAt(startAt, topic, partitions, commits.get(topic)));
  } else if (generation.leads !== null) {
    for (const [topic, begun] of await commitStarts(options, startAt, unstarted)) commits.set(topic, begun);
  } else {
    const waiting = unstarted.find(({ partitions }) => partitions.length > 0);
    if (waiting !== undefined) throw new StartsPendingError(waiting.topic);
  }

  const [starts, ends] = await Promise.all([listOffsets(cluster, own, earliest), listOffsets(cluster, own, latest)]);
  return place(own, commits, starts, ends);
}

/** The topics that matter here with all of their partitions: the leader's are those of the group. */
async function wholeTopics(
  cluster: Cluster,
  { leads }: Generation,
  own: readonly TopicPartitions[],
): Promise<TopicPartitions[]> {
  if (leads !== null) return [...leads.partitions].map(([topic, partitions]) => ({ topic, partitions }));
  return Promise.all(
    own.map(async ({ topic, partitions }) => {
      // Ours are among them even where the broker that was asked has not heard of the newest yet.
      return { topic, partitions: [...new Set([...partitions, ...(await cluster.partitions(topic))])] };
    }),
  );
}

/** The commits that hold, and the starts where none does. */
function startedAt(
  startAt: TopicOffsets,
  topic: string,
  partitions: readonly number[],
  commits: readonly Commit[] = [],
): Commit[] {
  const committed = new Map(commits.map((commit) => [commit.partition, commit]));
  return partitions.map((partition) => {
    return committed.get(partition) ?? { partition, offset: offsetIn(startAt, { topic, partition }), metadata: '' };
  });
}

async function commitStarts(
  { cluster, membership, generation }: PositionsOptions,
  startAt: 'earliest' | 'latest',
  topics: readonly TopicPartitions[],
): Promise<Map<string, Commit[]>> {
  const starts = new Map<string, Commit[]>();
  if (topics.length === 0) return starts;
  const offsets = await listOffsets(cluster, topics, startAt === 'earliest' ? earliest : latest);
  const commits: TopicCommit[] = [];
  for (const { topic, partitions } of topics) {
    const its = partitions.map((partition) => ({
      partition,
      offset: offsetOf(offsets, topic, partition),
      metadata: '',
    }));
    starts.set(topic, its);
    for (const commit of its) commits.push({ topic, ...commit });
  }
  await membership.commit(cluster, generation, commits);
  return starts;
}

/** Puts every position within its log. Pure. */
function place(
  own: readonly TopicPartitions[],
  commits: ReadonlyMap<string, readonly Commit[]>,
  starts: Offsets,
  ends: Offsets,
): Positions {
  const assignments: Assignment[] = [];
  const lost: LostRange[] = [];
  const beyond: BeyondEnd[] = [];
  for (const { topic, partitions } of own) {
    const committed = new Map((commits.get(topic) ?? []).map((commit) => [commit.partition, commit]));
    for (const partition of partitions) {
      const start = offsetOf(starts, topic, partition);
      const end = Math.max(start, offsetOf(ends, topic, partition));
      const commit = committed.get(partition);
      const within = commit !== undefined && commit.offset >= start && commit.offset <= end;
      if (within) assignments.push({ topic, partition, offset: commit.offset, metadata: commit.metadata, end });
      else assignments.push({ topic, partition, offset: start, metadata: '', end });
      if (commit === undefined || within) continue;
      if (commit.offset < start) lost.push({ topic, partition, from: commit.offset, to: start });
      else beyond.push({ topic, partition, committed: commit.offset, start, end });
    }
  }
  return { assignments, lost, beyond };
}
