import type { BrokerName } from './trigger/trigger.ts';

/**
 * Names of topics and consumer groups, as the design lays them down. Namespaces, brokers and triggers are DNS labels
 * or subdomains, which have no `_`, so the names with `_` can't collide with a broker's.
 */
export interface BrokerTopics {
  readonly events: string;
  readonly triggers: string;
  readonly deadLetter: string;
  /** Of one trigger. */
  retry(trigger: string): string;
  /** What the names of all retry topics of the broker start with. */
  readonly retryPrefix: string;
  /** The consumer group of the shared lane. */
  readonly sharedGroup: string;
  /** The consumer group of the n-th retry lane. */
  retryGroup(n: number): string;
}

export function brokerTopics(prefix: string, broker: BrokerName, externalTopic: string | null = null): BrokerTopics {
  const base = `${prefix}.${broker.namespace}.${broker.name}`;
  return {
    events: externalTopic ?? base,
    triggers: `${base}._triggers`,
    deadLetter: `${base}._dead-letter`,
    retry: (trigger) => `${base}._retry.${trigger}`,
    retryPrefix: `${base}._retry.`,
    sharedGroup: base,
    retryGroup: (n) => `${base}._retry.${n}`,
  };
}

/** Kafka allows 249 characters in a topic's name. */
export const topicNameMax = 249;
