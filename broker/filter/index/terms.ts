import type { Filter } from '../../trigger/trigger.ts';
import { expressionTerms } from './cesql-terms.ts';
import { anyPart, type Condition, everyPart, type Term, unknown } from './term.ts';

/** The terms of a trigger's filters, all of which must pass. Pure. @throws CesqlSyntaxError as `compile` does */
export function termsOf(filters: readonly Filter[]): Term[] {
  return everyPart(filters.map(partOf));
}

function partOf(filter: Filter): { terms: readonly Term[]; whole: Filter } {
  return { terms: filterTerms(filter), whole: filter };
}

function filterTerms(filter: Filter): readonly Term[] {
  switch (filter.dialect) {
    case 'exact':
      return [attributesTerm(filter.attributes, 'equals')];
    case 'prefix':
    case 'suffix':
      return [attributesTerm(filter.attributes, filter.dialect)];
    case 'attributes': {
      const { conditions } = attributesTerm(filter.attributes, 'equals');
      // "" asks for any value but an empty one.
      const hasAny = conditions.some(({ text }) => text === '');
      const known = conditions.map((one): Condition => (one.text === '' ? { ...one, kind: 'prefix' } : one));
      return [{ conditions: known, rest: hasAny ? [filter] : [] }];
    }
    case 'all':
      return termsOf(filter.filters);
    case 'any':
      return anyPart(filter.filters.map(partOf), filter);
    case 'cesql':
      return expressionTerms(filter);
    default:
      return [unknown(filter)];
  }
}

function attributesTerm(attributes: Readonly<Record<string, string>>, kind: Condition['kind']): Term {
  const conditions = Object.entries(attributes).map(([attribute, text]) => ({ attribute, kind, text }));
  return { conditions, rest: [] };
}
