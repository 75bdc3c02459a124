import { EventError } from '../../event/errors.ts';
import { hopsAttribute } from '../../event/hops.ts';
import { parsePointer } from '../../event/json-pointer.ts';
import type { MappedAttribute } from '../../event/plain.ts';
import { parseTemplate, type Template } from '../../event/template.ts';
import { checkAttribute, checkName } from '../../event/validate.ts';
import { messageOf } from '../../runtime/errors.ts';
import { describe, type Field, isObject } from './manifest-field.ts';
import { readYaml } from './manifest-yaml.ts';
import type { BrokerName, RecordKey } from './trigger.ts';

/** Topics of one broker: a lane asks the log about each of them every few seconds. */
const topicsMax = 32;

/** The events of Wikimedia's EventGate (`posthorn.dev/attributes: wikimedia`), whose schemas all have `meta`. */
const wikimedia: Readonly<Record<string, string | readonly string[]>> = {
  id: '/meta/id',
  source: ['https://{/meta/domain}', '/meta/stream'],
  type: '/meta/stream',
  subject: '/meta/uri',
  // When it happened; older schemas have only when it was received.
  time: ['/dt', '/meta/dt'],
  dataschema: 'https://schema.wikimedia.org/repositories/primary/jsonschema{/$schema}',
};

/** Reads `external.topic`: one topic, or several with commas between them; those that are read, the first written too. */
export function readTopics(field: Field): readonly string[] | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  const topics = text.split(',').map((topic) => topic.trim());
  const wrong = topics.find((topic) => !/^[\w.-]{1,249}$/.test(topic) || topic === '.' || topic === '..');
  if (wrong !== undefined) {
    return field.error(
      `must be the name of a Kafka topic (at most 249 letters, digits, ., _ and -), or of several with commas between them, found ${describe(wrong)}`,
    );
  }
  const twice = topics.find((topic, index) => topics.indexOf(topic) < index);
  if (twice !== undefined) return field.error(`names the topic ${twice} twice; keep one`);
  if (topics.length > topicsMax) return field.error(`names ${topics.length} topics; a broker has at most ${topicsMax}`);
  return topics;
}

/** Reads `posthorn.dev/attributes`: where in a plain record's value each attribute stands. */
export function readAttributes(field: Field): readonly MappedAttribute[] | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  const given = text === 'wikimedia' ? wikimedia : mappingIn(field, text);
  const mapped: MappedAttribute[] = [];
  for (const [name, value] of Object.entries(given ?? {})) {
    const problem = nameProblem(name);
    if (problem !== null) return field.error(problem);
    const texts = Array.isArray(value) ? value : [value];
    const from = texts.map((one: unknown) => templateIn(field, name, one)).filter((one) => one !== undefined);
    if (from.length < texts.length) return undefined;
    if (from.length === 0) return field.error(`has nothing that ${name} comes from; write a JSON pointer, as /meta/id`);
    mapped.push({ name, from });
  }
  if (given && mapped.length === 0) return field.error('maps no attribute; leave it out, or write as id: /meta/id');
  return mapped;
}

function nameProblem(name: string): string | null {
  if (name === 'specversion' || name === hopsAttribute) return `has ${name}, which Posthorn sets itself`;
  try {
    checkName(name);
    return null;
  } catch (error) {
    if (!(error instanceof EventError)) throw error;
    return `has ${messageOf(error)}`;
  }
}

function templateIn(field: Field, name: string, text: unknown): Template | undefined {
  if (typeof text !== 'string') {
    return field.error(`has ${describe(text)} for ${name}; must be a JSON pointer, as /meta/id, or a list of them`);
  }
  const template = parseTemplate(text);
  if ('problem' in template) return field.error(`${name} ${template.problem}`);
  const [constant] = template;
  if (template.length !== 1 || typeof constant !== 'string') return template;
  try {
    checkAttribute(name, constant);
    return template;
  } catch (error) {
    if (!(error instanceof EventError)) throw error;
    return field.error(`${messageOf(error)}; a JSON pointer begins with /`);
  }
}

/** Reads `posthorn.dev/key`: a template, or an object of names and pointers, whose values make an object of JSON. */
export function readKey(field: Field): RecordKey | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  if (text.startsWith('/') || /^[^{:]*\{\//.test(text)) {
    const template = parseTemplate(text);
    return 'problem' in template ? field.error(template.problem) : { kind: 'text', template };
  }
  const given = mappingIn(field, text);
  if (given === undefined) return undefined;
  const members = Object.entries(given).map(([name, value]) => {
    const pointer = typeof value === 'string' ? parsePointer(value) : null;
    if (pointer === null) field.error(`has ${describe(value)} for ${name}; must be a JSON pointer, as /page/page_id`);
    return { name, pointer: pointer ?? [] };
  });
  if (members.length === 0) return field.error('has no members; write as {"page_id": "/page/page_id"}');
  return { kind: 'json', members };
}

/**
 * Annotations are texts, so an object within one is YAML or JSON of its own.
 * @param what it is an object of, for messages
 */
export function mappingIn(
  field: Field,
  text: string,
  what: string = 'names and JSON pointers, as {"id": "/meta/id"}',
): Record<string, unknown> | undefined {
  const { documents, errors } = readYaml(text);
  const [document] = documents;
  const problem = errors[0] ?? document?.errors[0];
  if (problem !== undefined) return field.error(`${problem.field === '' ? '' : `${problem.field} `}${problem.message}`);
  if (documents.length === 1 && isObject(document?.value)) return document.value;
  return field.error(`must be an object of ${what}, found ${describe(text)}`);
}

/** Reads `posthorn.dev/reply-to`: `namespace/broker`. */
export function readReplyTo(field: Field): BrokerName | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  const [namespace = '', name = '', ...more] = text.split('/');
  const isRight = [namespace, name].every((part) => /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(part));
  if (isRight && more.length === 0) return { namespace, name };
  return field.error(`must be namespace/broker, as default/page-content-change, found ${describe(text)}`);
}
