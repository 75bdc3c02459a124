import type { CloudEvent } from '../../event/event.ts';
import type { AttributeValues, Filter } from '../trigger/trigger.ts';

/** Whether an event passes. Never throws. */
export type Predicate = (event: CloudEvent) => boolean;

/**
 * Whether the event passes all of the filters; with none it does. Values are compared in canonical string form,
 * case-sensitively. An attribute that the event lacks makes exact, prefix, suffix and attributes false.
 * Implements the filter dialects of CloudEvents Subscriptions 3.2.4 and of Knative's Trigger. Pure, never throws.
 */
export function passes(filters: readonly Filter[], event: CloudEvent): boolean {
  return filters.every((filter) => holds(filter, event));
}

function holds(filter: Filter, event: CloudEvent): boolean {
  switch (filter.dialect) {
    case 'exact':
      return everyAttribute(filter.attributes, event, (value, wanted) => value === wanted);
    case 'prefix':
      return everyAttribute(filter.attributes, event, (value, wanted) => value.startsWith(wanted));
    case 'suffix':
      return everyAttribute(filter.attributes, event, (value, wanted) => value.endsWith(wanted));
    case 'attributes':
      return everyAttribute(filter.attributes, event, matchesOrPresent);
    case 'all':
      return filter.filters.every((nested) => holds(nested, event));
    case 'any':
      return filter.filters.some((nested) => holds(nested, event));
    case 'not':
      return !holds(filter.filter, event);
  }
}

function everyAttribute(
  attributes: AttributeValues,
  event: CloudEvent,
  compare: (value: string, wanted: string) => boolean,
): boolean {
  for (const name of Object.keys(attributes)) {
    const value = event.attributes[name];
    const wanted = attributes[name];
    if (value === undefined || wanted === undefined || !compare(value, wanted)) return false;
  }
  return true;
}

/** `""` asks for any value, and an empty one counts as absent, as it does in Knative. */
function matchesOrPresent(value: string, wanted: string): boolean {
  return wanted === '' ? value !== '' : value === wanted;
}

/** The same as `passes`, with the filters taken apart once instead of for each event. */
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
      return compileAttributes(filter.attributes, matchesOrPresent);
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

function everyOf(predicates: readonly Predicate[]): Predicate {
  const [first, ...rest] = predicates;
  if (first === undefined) return () => true;
  if (rest.length === 0) return first;
  return (event) => predicates.every((predicate) => predicate(event));
}
