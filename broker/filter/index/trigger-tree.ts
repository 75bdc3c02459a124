import { isDeepStrictEqual } from 'node:util';
import type { CloudEvent } from '../../../event/event.ts';
import type { Filter, Trigger } from '../../trigger/trigger.ts';
import { compile, type Predicate } from '../match.ts';
import { ConditionTree } from './condition-tree.ts';
import { type Condition, inOrder, isPresence } from './term.ts';
import { termsOf } from './terms.ts';

/** Triggers in whatever holds them: an array, a map. */
export interface Triggers {
  values(): Iterable<Trigger>;
}

/** Holds triggers by the terms of their filters, and goes from some triggers to others by what differs. */
export class TriggerTree {
  readonly #tree = new ConditionTree<Place>((a, b) => byName(a.entry, b.entry));
  /** By uid. */
  readonly #entries = new Map<string, Entry>();
  #held: Triggers | null = null;
  #holds = 0;
  #unindexed = 0;

  get unindexed(): number {
    return this.#unindexed;
  }

  /** Holds these triggers from now on. One that is the same object as before costs next to nothing. */
  hold(triggers: Triggers): void {
    if (triggers === this.#held) return;
    const hold = ++this.#holds;
    let count = 0;
    for (const trigger of triggers.values()) {
      count += 1;
      this.#put(trigger, hold);
    }
    if (this.#entries.size > count) {
      for (const entry of this.#entries.values()) if (entry.hold !== hold) this.#remove(entry);
    }
    this.#held = triggers;
  }

  /** Those that the event passes, in the order of their names. */
  match(event: CloudEvent): Trigger[] {
    const matched: Entry[] = [];
    for (const { entry, passes } of this.#tree.find(event.attributes)) {
      if (passes === null || passes(event)) matched.push(entry);
    }
    if (matched.length > 1) matched.sort(byName);
    const triggers: Trigger[] = [];
    let last: Entry | undefined;
    for (const entry of matched) {
      // It may have been found by several of its terms.
      if (entry !== last) triggers.push(entry.trigger);
      last = entry;
    }
    return triggers;
  }

  #put(trigger: Trigger, hold: number): void {
    const known = this.#entries.get(trigger.uid);
    if (known !== undefined) {
      known.hold = hold;
      if (known.trigger === trigger) return;
      if (isAlike(known.trigger, trigger)) {
        known.trigger = trigger;
        return;
      }
      this.#remove(known);
    }
    this.#add(trigger, hold);
  }

  #add(trigger: Trigger, hold: number): void {
    const entry: Entry = { trigger, hold, places: [] };
    const predicates = new Map<string, Predicate>();
    for (const { conditions, rest } of termsOf(trigger.filters)) {
      const passes = rest.length === 0 ? null : predicateOf(rest, predicates);
      entry.places.push({ entry, conditions: inOrder(conditions), passes });
    }
    for (const place of entry.places) this.#tree.add(place.conditions, place);
    this.#entries.set(trigger.uid, entry);
    this.#unindexed += Number(isUnindexed(entry));
  }

  #remove(entry: Entry): void {
    for (const place of entry.places) this.#tree.remove(place.conditions, place);
    this.#entries.delete(entry.trigger.uid);
    this.#unindexed -= Number(isUnindexed(entry));
  }
}

interface Entry {
  trigger: Trigger;
  /** The last of the holds of which it was a part. */
  hold: number;
  readonly places: Place[];
}

/** One of a trigger's terms. */
interface Place {
  readonly entry: Entry;
  readonly conditions: readonly Condition[];
  /** What is left to be asked where the conditions are met; null: nothing. */
  readonly passes: Predicate | null;
}

function predicateOf(filters: readonly Filter[], known: Map<string, Predicate>): Predicate {
  const key = JSON.stringify(filters);
  const predicate = known.get(key) ?? compile(filters);
  known.set(key, predicate);
  return predicate;
}

/** Whether nothing but the trigger's other settings differ. */
function isAlike(a: Trigger, b: Trigger): boolean {
  return a.namespace === b.namespace && a.name === b.name && isDeepStrictEqual(a.filters, b.filters);
}

function isUnindexed({ places }: Entry): boolean {
  return places.some(({ conditions, passes }) => passes !== null && conditions.every(isPresence));
}

function byName({ trigger: a }: Entry, { trigger: b }: Entry): number {
  return compareText(a.namespace, b.namespace) || compareText(a.name, b.name) || compareText(a.uid, b.uid);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
