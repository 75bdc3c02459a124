import type { CloudEvent } from '../../event/event.ts';
import type { AttributeValues, Filter } from '../trigger/trigger.ts';
import { compileFilter } from './cesql/cesql.ts';

/** Whether an event passes. Never throws. */
export type Predicate = (event: CloudEvent) => boolean;

/**
 * Whether the event passes all of the filters; with none it does. Values are compared in canonical string form,
 * case-sensitively. An attribute that the event lacks makes exact, prefix, suffix and attributes false.
 * An expression of CESQL must be TRUE without an error. Implements the filter dialects of CloudEvents Subscriptions
 * 3.2.4 and of Knative's Trigger. Pure; never throws for the filters of a trigger that was applied.
 */
export function passes(filters: readonly Filter[], event: CloudEvent): boolean {
  return compile(filters)(event);
}

/** What `passes` does, with the filters taken apart once instead of for each event. */
export function compile(filters: readonly Filter[]): Predicate {
  return everyOf(filters.map(compileOne));
}

function compileOne(filter: Filter): Predicate {
  switch (filter.dialect) {
    case 'exact':
      return compileAttributes(filter.attributes, (value, wanted) => value === wanted);
    case 'prefix':
      return compileAttributes(filter.attributes, (value, wanted) => value.startsWith(wanted));
    case 'suffix':
      return compileAttributes(filter.attributes, (value, wanted) => value.endsWith(wanted));
    case 'attributes':
      return compileAttributes(filter.attributes, equalsOrAny);
    case 'all':
      return compile(filter.filters);
    case 'any': {
      const nested = filter.filters.map(compileOne);
      return (event) => nested.some((predicate) => predicate(event));
    }
    case 'not': {
      const nested = compileOne(filter.filter);
      return (event) => !nested(event);
    }
    case 'cesql': {
      const { passes } = compileFilter(filter.expression);
      return ({ attributes }) => passes(attributes);
    }
  }
}

function compileAttributes(
  attributes: AttributeValues,
  compare: (value: string, wanted: string) => boolean,
): Predicate {
  const predicates = Object.entries(attributes).map(([name, wanted]): Predicate => {
    return ({ attributes: { [name]: value } }) => value !== undefined && compare(value, wanted);
  });
  return everyOf(predicates);
}

/** `""` asks for any value, and an empty one counts as absent, as it does in Knative. */
function equalsOrAny(value: string, wanted: string): boolean {
  return wanted === '' ? value !== '' : value === wanted;
}

function everyOf(predicates: readonly Predicate[]): Predicate {
  const [first, ...rest] = predicates;
  if (first === undefined) return () => true;
  if (rest.length === 0) return first;
  return (event) => predicates.every((predicate) => predicate(event));
}
