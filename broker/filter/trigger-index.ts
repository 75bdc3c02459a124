import type { CloudEvent } from '../../event/event.ts';
import type { Filter, Trigger } from '../trigger/trigger.ts';
import { compile, type Predicate } from './match.ts';

interface Entry {
  /** Where the trigger stands in the order of the answer. */
  readonly rank: number;
  readonly trigger: Trigger;
  readonly predicate: Predicate;
}

/**
 * Finds the triggers that an event passes without asking those that want another `type`. Triggers whose filters
 * demand an exact type are kept by it; the others are asked one by one. The answer is what `passes` gives for each.
 */
export class TriggerIndex {
  readonly #byType = new Map<string, Entry[]>();
  readonly #others: Entry[] = [];

  constructor(triggers: readonly Trigger[]) {
    const sorted = triggers.toSorted(byName);
    for (const [rank, trigger] of sorted.entries()) {
      const entry = { rank, trigger, predicate: compile(trigger.filters) };
      const type = demandedType(trigger.filters);
      if (type === undefined) this.#others.push(entry);
      else this.#entriesOf(type).push(entry);
    }
  }

  /** The triggers whose filters the event passes, in the order of namespace and name. Never throws. */
  match(event: CloudEvent): Trigger[] {
    const matched: Trigger[] = [];
    const typed = this.#byType.get(event.attributes.type) ?? [];
    const others = this.#others;
    // Both lists are in the order of rank, so merging them keeps the answer in it.
    let i = 0;
    let j = 0;
    for (;;) {
      const left = typed[i];
      const right = others[j];
      const entry = right === undefined || (left !== undefined && left.rank < right.rank) ? left : right;
      if (entry === undefined) return matched;
      if (entry === left) i += 1;
      else j += 1;
      if (entry.predicate(event)) matched.push(entry.trigger);
    }
  }

  #entriesOf(type: string): Entry[] {
    const known = this.#byType.get(type);
    if (known !== undefined) return known;
    const made: Entry[] = [];
    this.#byType.set(type, made);
    return made;
  }
}

function byName(a: Trigger, b: Trigger): number {
  return compareText(a.namespace, b.namespace) || compareText(a.name, b.name);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** The type without which no event passes all of the filters; undefined where there is no such single type. */
function demandedType(filters: readonly Filter[]): string | undefined {
  for (const filter of filters) {
    const type = typeOf(filter);
    if (type !== undefined) return type;
  }
  return undefined;
}

function typeOf(filter: Filter): string | undefined {
  switch (filter.dialect) {
    case 'exact':
      return ownType(filter.attributes);
    case 'attributes':
      // "" asks for any type.
      return ownType(filter.attributes) || undefined;
    case 'all':
      return demandedType(filter.filters);
    default:
      return undefined;
  }
}

function ownType(attributes: Readonly<Record<string, string>>): string | undefined {
  return Object.hasOwn(attributes, 'type') ? attributes.type : undefined;
}
