import { shown } from '../../event/errors.ts';
import type { CloudEvent } from '../../event/event.ts';
import { essenceOf, isJsonType } from '../../event/media-type.ts';
import type { SchemaRules } from '../trigger/trigger.ts';
import type { Found, Schemas } from './schemas.ts';
import { type Violation, violationsMax, violationsText } from './violation.ts';

/** What its schemas say of an event. */
export type Verdict =
  /** `isUnknown`: it names a schema that nobody has, and the Broker takes such events. */
  | { readonly kind: 'accepted'; readonly isUnknown: boolean }
  | {
      readonly kind: 'refused';
      /** A sentence with the schema and the pointers. */
      readonly reason: string;
      /** The schema's URI; null: the event has none. */
      readonly schema: string | null;
      readonly violations: readonly Violation[];
    }
  /** It can't be told just now. */
  | { readonly kind: 'unavailable'; readonly reason: string };

/** Judges an event; a promise only where a schema has to be fetched first. */
export type JudgeEvent = (event: CloudEvent) => Verdict | Promise<Verdict>;

const accepted: Verdict = { kind: 'accepted', isUnknown: false };
const acceptedUnknown: Verdict = { kind: 'accepted', isUnknown: true };

/** What holds where a Broker says nothing. */
const defaultRules: SchemaRules = { policy: 'known', types: new Map(), onTopic: false };

const noSchemas: Found = {
  kind: 'unavailable',
  reason: 'this Posthorn was started without --schemas and --schema-registry, which the Broker needs',
};

/**
 * How the events of a broker are judged; null: not at all.
 * @param schemas null: the process has none
 * @param rules null: the Broker says nothing of schemas
 */
export function eventJudge(schemas: Pick<Schemas, 'find'> | null, rules: SchemaRules | null): JudgeEvent | null {
  if (rules === null && schemas === null) return null;
  const { policy, types } = rules ?? defaultRules;
  if (policy === 'off') return null;
  const find = (name: string): Found | Promise<Found> => schemas?.find(name) ?? noSchemas;
  return (event) => {
    const { type, dataschema } = event.attributes;
    const mapped = types.get(type);
    // What the Broker says holds whatever the producer names.
    const named = dataschema === undefined ? undefined : dataschema.replace(/#$/, '');
    if (mapped === undefined && named === undefined) {
      if (policy !== 'required') return accepted;
      return refusal(null, 'the event names no schema (dataschema), and the Broker has none for its type', []);
    }
    if (mapped === undefined || named === undefined || mapped === named) {
      return one(event, mapped ?? named ?? '', mapped !== undefined, policy, find);
    }
    return both(one(event, mapped, true, policy, find), () => one(event, named, false, policy, find));
  };
}

function both(first: Verdict | Promise<Verdict>, second: () => Verdict | Promise<Verdict>): Verdict | Promise<Verdict> {
  if (first instanceof Promise) return first.then((verdict) => both(verdict, second));
  return first.kind === 'accepted' ? second() : first;
}

/** @param isMapped whether the Broker names it, and not the event */
function one(
  event: CloudEvent,
  name: string,
  isMapped: boolean,
  policy: SchemaRules['policy'],
  find: (name: string) => Found | Promise<Found>,
): Verdict | Promise<Verdict> {
  const found = find(name);
  const judge = (found: Found): Verdict => judgeBy(event, name, found, isMapped, policy);
  return found instanceof Promise ? found.then(judge) : judge(found);
}

function judgeBy(
  event: CloudEvent,
  name: string,
  found: Found,
  isMapped: boolean,
  policy: SchemaRules['policy'],
): Verdict {
  switch (found.kind) {
    case 'unavailable':
      return { kind: 'unavailable', reason: `the schema ${shown(name, 200)} is not to be had: ${found.reason}` };
    case 'unknown':
      if (isMapped) {
        const reason = `posthorn.dev/type-schemas of the Broker names the schema ${shown(name, 200)}, which is not there`;
        return { kind: 'unavailable', reason };
      }
      return policy === 'known'
        ? acceptedUnknown
        : refusal(name, `dataschema ${shown(name, 200)} is no schema that is known here`, []);
    case 'schema': {
      const { schema } = found;
      const violations = violationsOf(event, (data, bytes) => schema.violations(data, bytes));
      if (violations.length === 0) return accepted;
      const words = violationsText(violations, violationsMax);
      return refusal(schema.uri, `the data violates the schema ${shown(schema.uri, 200)}: ${words}`, violations);
    }
  }
}

function violationsOf(
  { attributes, data }: CloudEvent,
  validate: (data: unknown, bytes: number) => readonly Violation[],
): readonly Violation[] {
  const { datacontenttype } = attributes;
  if (data === undefined) return [{ pointer: '', detail: 'is absent, where the schema wants JSON' }];
  if (!isJsonType(datacontenttype)) {
    const type = shown(essenceOf(datacontenttype ?? ''));
    return [{ pointer: '', detail: `is ${type}, where the schema wants JSON (application/json or +json)` }];
  }
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(data));
  } catch {
    return [{ pointer: '', detail: 'is not the JSON that datacontenttype says' }];
  }
  return validate(value, data.length);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function refusal(schema: string | null, reason: string, violations: readonly Violation[]): Verdict {
  return { kind: 'refused', reason, schema, violations: violations.slice(0, violationsMax) };
}
