import type { Filter } from '../../trigger/trigger.ts';

/** That an attribute is there and equals, begins with or ends with a text. */
export interface Condition {
  readonly attribute: string;
  readonly kind: 'equals' | 'prefix' | 'suffix';
  readonly text: string;
}

/**
 * One way to pass filters: if the event meets all conditions and passes the rest, it passes. Filters have some number of
 * terms, and what meets none of them does not pass.
 */
export interface Term {
  readonly conditions: readonly Condition[];
  readonly rest: readonly Filter[];
}

/** A filter, or a part of an expression in one, and its terms. */
export interface Part {
  readonly terms: readonly Term[];
  /** What is to be evaluated where the terms are not gone by. */
  readonly whole: Filter;
}

/** Attributes that every event has. */
export const requiredAttributes: ReadonlySet<string> = new Set(['specversion', 'id', 'source', 'type']);

/** Each term takes some hundred bytes for as long as the trigger lives. What has more of them is evaluated. */
const termsMax = 1_024;

/** Of a product of terms, beyond the larger of its factors: `type IN (…) AND source IN (…)` with 8 values each. */
const productMax = 64;

/** It bounds how deep the index is. Conditions beyond it are evaluated. */
const conditionsMax = 16;

/** The terms of what passes where all parts pass. Parts of which the product would be too large are left to the rest. */
export function everyPart(parts: readonly Part[]): Term[] {
  let product: Term[] = [{ conditions: [], rest: [] }];
  // Those with fewest terms first, so that it is the largest that are left out.
  for (const { terms, whole } of parts.toSorted((a, b) => a.terms.length - b.terms.length)) {
    const fits = product.length * terms.length <= Math.max(product.length, terms.length, productMax);
    const factor = fits ? terms : [unknown(whole)];
    product = product.flatMap((a) => factor.map((b) => both(a, b, whole)));
  }
  return product;
}

/** The terms of what passes where one of the parts passes. */
export function anyPart(parts: readonly Part[], whole: Filter): readonly Term[] {
  const terms = parts.flatMap((part) => part.terms);
  return terms.length <= termsMax ? terms : [unknown(whole)];
}

/** Of a filter of which nothing is known. */
export function unknown(filter: Filter): Term {
  return { conditions: [], rest: [filter] };
}

function both(a: Term, b: Term, whole: Filter): Term {
  const conditions = [...a.conditions, ...b.conditions];
  const left = conditions.length <= conditionsMax ? b.rest : [whole];
  const rest = [...a.rest, ...left.filter((filter) => !a.rest.includes(filter))];
  return { conditions: conditions.slice(0, conditionsMax), rest };
}

/** Whether it is only asked that the attribute is there. */
export function isPresence({ kind, text }: Condition): boolean {
  return kind !== 'equals' && text === '';
}

/**
 * The conditions without those that others, or every event, imply, and in an order in which those come first that fewest
 * events meet: then triggers share what is looked up first.
 */
export function inOrder(conditions: readonly Condition[]): Condition[] {
  const kept = new Map<string, Condition>();
  for (const condition of conditions) {
    const { attribute, kind, text } = condition;
    if (!isPresence(condition)) kept.set(`${kind} ${attribute} ${text}`, condition);
    else if (!isImplied(attribute, conditions)) kept.set(`there ${attribute}`, { attribute, kind: 'prefix', text: '' });
  }
  return [...kept.values()].sort(byStrength);
}

/** Whether the attribute is there where the conditions are met. */
function isImplied(attribute: string, conditions: readonly Condition[]): boolean {
  if (requiredAttributes.has(attribute)) return true;
  return conditions.some((one) => one.attribute === attribute && !isPresence(one));
}

const strengths = { equals: 0, prefix: 1, suffix: 2 } as const;

function byStrength(a: Condition, b: Condition): number {
  return (
    Number(isPresence(a)) - Number(isPresence(b)) ||
    strengths[a.kind] - strengths[b.kind] ||
    // Most triggers ask for a type.
    Number(b.attribute === 'type') - Number(a.attribute === 'type') ||
    compare(a.attribute, b.attribute) ||
    compare(a.text, b.text)
  );
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
