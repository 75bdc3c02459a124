import { brokerTopics, topicNameMax } from '../topics.ts';
import { describe, type Field } from './manifest-field.ts';

const label = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
const dnsLabel = new RegExp(`^${label}$`);
const dnsSubdomain = new RegExp(String.raw`^${label}(?:\.${label})*$`);

/** Reads a DNS label (RFC 1123): a namespace, a broker, a Service. */
export function readDnsLabel(field: Field): string | undefined {
  const text = field.text();
  if (text === undefined || (text.length <= 63 && dnsLabel.test(text))) return text;
  return field.error(
    `must be at most 63 lower-case letters, digits and -, with a letter or digit at both ends, found ${describe(text)}`,
  );
}

/** Reads a DNS subdomain (RFC 1123): a trigger. */
export function readDnsSubdomain(field: Field): string | undefined {
  const text = field.text();
  if (text === undefined || (text.length <= 253 && dnsSubdomain.test(text))) return text;
  return field.error(
    `must be at most 253 lower-case letters, digits, - and ., with a letter or digit at both ends of each part, found ${describe(text)}`,
  );
}

/**
 * Why the names of the topics that a trigger or a broker needs are too long for Kafka, or null where they are not.
 * @param prefix what the names of all topics begin with
 * @param trigger null: of the broker itself
 */
export function topicNameProblem(
  prefix: string,
  namespace: string,
  broker: string,
  trigger: string | null,
): string | null {
  const topics = brokerTopics(prefix, { namespace, name: broker });
  const longest = trigger === null ? topics.deadLetter : topics.retry(trigger);
  const excess = longest.length - topicNameMax;
  if (excess <= 0) return null;
  return `too long by ${excess}: its topic ${longest} would have ${longest.length} characters, Kafka allows ${topicNameMax}`;
}
