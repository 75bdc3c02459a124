import { countKeys } from './compare.ts';
import type { Evaluation } from './evaluation.ts';
import type { Run } from './run.ts';
import { Failure, isList, isMade, isObject, keysOf, typeOf, type Value } from './value.ts';

/** The macros over the items of a list or the keys of a map, by how many arguments they have. */
export const macros: ReadonlyMap<string, readonly number[]> = new Map([
  ['all', [2]],
  ['exists', [2]],
  ['exists_one', [2]],
  ['filter', [2]],
  ['map', [2, 3]],
]);

export interface Macro {
  readonly name: string;
  readonly target: Run;
  /** The place of the variable that holds each item in turn. */
  readonly variable: number;
  /** What is asked or made of each item; of `map` with a condition, that comes first. */
  readonly bodies: readonly [Run] | readonly [Run, Run];
  readonly position: number;
}

export function runMacro(macro: Macro): Run {
  switch (macro.name) {
    case 'all':
      return quantifier(macro, false);
    case 'exists':
      return quantifier(macro, true);
    case 'exists_one':
      return exactlyOne(macro);
    case 'filter':
      return collect(macro, macro.bodies[0], null);
    default: {
      const [first, second] = macro.bodies;
      return second === undefined ? collect(macro, null, first) : collect(macro, first, second);
    }
  }
}

/** `all` ends with the first false, `exists` with the first true, whatever errors came before. */
function quantifier(macro: Macro, decisive: boolean): Run {
  const { bodies, variable } = macro;
  return (evaluation) => {
    const items = itemsOf(macro, evaluation);
    if (items instanceof Failure) return items;
    let failure: Failure | undefined;
    for (const item of items) {
      evaluation.variables[variable] = item;
      const value = conditionOf(macro, bodies[0], evaluation);
      if (value === decisive) return decisive;
      if (value instanceof Failure) failure ??= value;
    }
    return failure ?? !decisive;
  };
}

function exactlyOne(macro: Macro): Run {
  const { bodies, variable } = macro;
  return (evaluation) => {
    const items = itemsOf(macro, evaluation);
    if (items instanceof Failure) return items;
    let found = 0;
    for (const item of items) {
      evaluation.variables[variable] = item;
      const value = conditionOf(macro, bodies[0], evaluation);
      if (value instanceof Failure) return value;
      if (value) found += 1;
    }
    return found === 1;
  };
}

function collect(macro: Macro, condition: Run | null, made: Run | null): Run {
  const { variable } = macro;
  return (evaluation) => {
    const items = itemsOf(macro, evaluation);
    if (items instanceof Failure) return items;
    const collected: Value[] = [];
    for (const item of items) {
      evaluation.variables[variable] = item;
      const isTaken = condition === null || conditionOf(macro, condition, evaluation);
      if (isTaken instanceof Failure) return isTaken;
      if (!isTaken) continue;
      const value = made === null ? item : made(evaluation);
      if (value instanceof Failure) return value;
      collected.push(value);
    }
    return collected;
  };
}

function itemsOf({ target, name, position }: Macro, evaluation: Evaluation): readonly Value[] | Failure {
  const value = target(evaluation);
  if (value instanceof Failure || isList(value)) return value;
  if (!isMade(value) && !isObject(value)) {
    return new Failure(`${name}() goes through a list or a map, found ${typeOf(value)}`, position);
  }
  countKeys(value, evaluation);
  return keysOf(value);
}

function conditionOf({ name, position }: Macro, condition: Run, evaluation: Evaluation): boolean | Failure {
  const value = condition(evaluation);
  if (typeof value === 'boolean' || value instanceof Failure) return value;
  return new Failure(`the condition of ${name}() must be true or false, found ${typeOf(value)}`, position);
}
