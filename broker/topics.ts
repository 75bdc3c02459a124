import type { TopicSpec } from './log/log.ts';
import type { BrokerName, Trigger } from './trigger/trigger.ts';

/**
 * Names of topics and consumer groups. Namespaces, brokers and triggers are DNS labels
 * or subdomains, which have no `_`, so the names with `_` can't collide with a broker's.
 */
export interface BrokerTopics {
  /** Where events are appended. */
  readonly events: string;
  /** Where they are read from: that topic, and the others of a broker that has several. */
  readonly eventTopics: readonly string[];
  readonly triggers: string;
  readonly deadLetter: string;
  /** Of one trigger. */
  retry(trigger: string): string;
  /** What the names of all retry topics of the broker start with. */
  readonly retryPrefix: string;
  /** The consumer group of the shared lane. */
  readonly sharedGroup: string;
  /** The consumer group of a trigger that has its own. One that is made anew under its name has another. */
  ownGroup(trigger: Pick<Trigger, 'name' | 'uid'>): string;
  /** The consumer group of the n-th retry lane. */
  retryGroup(n: number): string;
}

export function brokerTopics(prefix: string, broker: BrokerName, externalTopics: readonly string[] = []): BrokerTopics {
  const base = `${prefix}.${broker.namespace}.${broker.name}`;
  return {
    events: externalTopics[0] ?? base,
    eventTopics: externalTopics.length > 0 ? externalTopics : [base],
    triggers: `${base}._triggers`,
    deadLetter: `${base}._dead-letter`,
    retry: (trigger) => `${base}._retry.${trigger}`,
    retryPrefix: `${base}._retry.`,
    sharedGroup: base,
    ownGroup: ({ name, uid }) => `${base}.${name}.${uid}`,
    retryGroup: (n) => `${base}._retry.${n}`,
  };
}

/** Kafka allows 249 characters in a topic's name. */
export const topicNameMax = 249;

/** The broker whose registry topic this is, or null where the name is none of that prefix. */
export function brokerOfRegistryTopic(prefix: string, topic: string): BrokerName | null {
  if (!topic.startsWith(`${prefix}.`)) return null;
  const [namespace, name, suffix, ...more] = topic.slice(prefix.length + 1).split('.');
  if (!namespace || !name || suffix !== '_triggers' || more.length > 0) return null;
  return { namespace, name };
}

/** What the topics that Posthorn makes are made with (`posthorn serve`'s settings); existing ones are left as they are. */
export interface TopicSettings {
  /** Of an events topic. */
  readonly partitions: number;
  /** null: for ever. */
  readonly eventsRetentionMs: number | null;
  /** null: for ever. */
  readonly deadLetterRetentionMs: number | null;
  /** The largest event that the ingress takes, data and attributes together. */
  readonly eventMaxBytes: number;
}

/** What the framing of an event's headers as a record takes beyond the event's own bytes, at most. */
const framingMaxBytes = 65_536;

/** What a retry or a dead letter adds to an event, with room to spare: what we add is cut to 16 KiB. */
const failureMaxBytes = 65_536;

/** Of the registry's records: a revision holds a whole manifest, which has at most half of this. */
export const revisionMaxBytes = 1_048_576;

export interface TopicSpecs {
  readonly events: TopicSpec;
  readonly triggers: TopicSpec;
  readonly deadLetter: TopicSpec;
  readonly retry: TopicSpec;
}

/**
 * The spec of each kind of topic. A retry topic is trimmed behind its position, so it needs no retention.
 * @param eventBytes what the events topic takes in one append, where it is not one that Posthorn made
 */
export function topicSpecs(settings: TopicSettings, eventBytes = settings.eventMaxBytes + framingMaxBytes): TopicSpecs {
  const failureBytes = eventBytes + failureMaxBytes;
  return {
    events: {
      partitions: settings.partitions,
      retentionMs: settings.eventsRetentionMs,
      maxMessageBytes: eventBytes,
    },
    triggers: { partitions: 1, retentionMs: null, maxMessageBytes: revisionMaxBytes },
    deadLetter: {
      partitions: settings.partitions,
      retentionMs: settings.deadLetterRetentionMs,
      maxMessageBytes: failureBytes,
    },
    retry: { partitions: 1, retentionMs: null, maxMessageBytes: failureBytes },
  };
}
