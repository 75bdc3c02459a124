import { AssignerProtocol } from 'kafkajs';

/** What Kafka's protocol calls the way in which a group divides its partitions; all members must name the same. */
export const assignorName = 'posthorn';

const protocolVersion = 0;

export interface Member {
  readonly memberId: string;
  readonly topics: readonly string[];
}

/** Partitions by topic. */
export type TopicAssignment = Readonly<Record<string, readonly number[]>>;

/**
 * Divides the partitions of topics among the members that subscribe to each: as evenly as can be, counted over all
 * topics, and equally for equal input, so that a rejoin without a change moves nothing. Pure.
 */
export function assign(
  members: readonly Member[],
  partitions: ReadonlyMap<string, readonly number[]>,
): ReadonlyMap<string, TopicAssignment> {
  const sorted = [...members].sort((a, b) => (a.memberId < b.memberId ? -1 : 1));
  const loads = sorted.map(({ memberId, topics }) => ({
    memberId,
    topics: new Set(topics),
    count: 0,
    assigned: {} as Record<string, number[]>,
  }));
  for (const topic of [...partitions.keys()].sort()) {
    const subscribers = loads.filter(({ topics }) => topics.has(topic));
    for (const partition of partitions.get(topic) ?? []) {
      const [first, ...rest] = subscribers;
      if (first === undefined) break;
      const least = rest.reduce((best, one) => (one.count < best.count ? one : best), first);
      least.count++;
      least.assigned[topic] = [...(least.assigned[topic] ?? []), partition];
    }
  }
  return new Map(loads.map(({ memberId, assigned }) => [memberId, assigned]));
}

export function encodeSubscription(topics: readonly string[]): Buffer {
  return AssignerProtocol.MemberMetadata.encode({
    version: protocolVersion,
    topics: [...topics],
    userData: Buffer.alloc(0),
  });
}

export function decodeSubscription(metadata: Buffer): string[] {
  return AssignerProtocol.MemberMetadata.decode(metadata)?.topics ?? [];
}

export function encodeAssignment(assignment: TopicAssignment): Buffer {
  const copy: Record<string, number[]> = {};
  for (const topic in assignment) copy[topic] = [...(assignment[topic] ?? [])];
  return AssignerProtocol.MemberAssignment.encode({
    version: protocolVersion,
    assignment: copy,
    userData: Buffer.alloc(0),
  });
}

/** A member that gets nothing may be answered with no bytes at all. */
export function decodeAssignment(bytes: Buffer): TopicAssignment {
  if (bytes.length === 0) return {};
  return AssignerProtocol.MemberAssignment.decode(bytes)?.assignment ?? {};
}
