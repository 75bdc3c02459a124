import { compile } from '../../broker/filter/cesql/cesql.ts';
import type { Filter, Trigger } from '../../broker/trigger/trigger.ts';
import type { CloudEvent } from '../../event/event.ts';

/** `namespace/name` of each. */
export function namesOf(triggers: readonly Trigger[]): string[] {
  return triggers.map(({ namespace, name }) => `${namespace}/${name}`);
}

/** The triggers that the event passes, found by asking each, in the order of their names. */
export function naive(triggers: Iterable<Trigger>, event: CloudEvent): string[] {
  const passing = [...triggers].filter(({ filters }) => filters.every((one) => holds(one, event)));
  return namesOf(passing).sort();
}

/** The dialects once more, told apart from the code under test. */
function holds(filter: Filter, event: CloudEvent): boolean {
  if (filter.dialect === 'not') return holds(filter.filter, event) === false;
  if (filter.dialect === 'all') return filter.filters.filter((one) => !holds(one, event)).length === 0;
  if (filter.dialect === 'any') return filter.filters.filter((one) => holds(one, event)).length > 0;
  if (filter.dialect === 'cesql') return evaluate(filter.expression, event);
  return Object.entries(filter.attributes).every(([name, wanted]) => {
    const value = new Map(Object.entries(event.attributes)).get(name);
    if (value === undefined) return false;
    if (filter.dialect === 'exact') return value === wanted;
    if (filter.dialect === 'prefix') return value.slice(0, wanted.length) === wanted;
    if (filter.dialect === 'suffix') return value.slice(Math.max(0, value.length - wanted.length)) === wanted;
    return wanted === '' ? value.length > 0 : value === wanted;
  });
}

function evaluate(expression: string, event: CloudEvent): boolean {
  const { value, errors } = compile(expression).evaluate(event.attributes);
  return value === true && errors.length === 0;
}
