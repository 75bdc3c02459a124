import type { ErrorObject } from 'ajv';
import { shown } from '../../event/errors.ts';
import { formatPointer } from '../../event/json-pointer.ts';

/** Where data is not as its schema says. */
export interface Violation {
  /** A JSON pointer (RFC 6901) into the data; empty: the whole. */
  readonly pointer: string;
  /** Follows the pointer in a sentence: `must be number`. */
  readonly detail: string;
}

/** Violations that are told at most. */
export const violationsMax = 5;

/** Names in the data are a producer's, and may be long. */
const pointerCharactersMax = 200;

/** What an error of ajv says. */
export function detailOf({ keyword, instancePath, params, message, propertyName }: ErrorObject): Violation {
  const at = (name?: unknown): string =>
    cut(typeof name === 'string' ? instancePath + formatPointer([name]) : instancePath);
  switch (keyword) {
    case 'additionalProperties':
      return { pointer: at(params.additionalProperty), detail: 'is a property that the schema does not have' };
    case 'unevaluatedProperties':
      return { pointer: at(params.unevaluatedProperty), detail: 'is a property that the schema does not have' };
    case 'enum':
      return { pointer: at(), detail: `must be one of ${listed(params.allowedValues)}` };
    case 'const':
      return { pointer: at(), detail: `must be ${listed([params.allowedValue])}` };
    case 'type':
      return { pointer: at(), detail: `must be ${[params.type].flat().join(' or ')}` };
    case 'required':
      return { pointer: at(), detail: `must have the property ${shown(String(params.missingProperty))}` };
    case 'false schema':
      return { pointer: at(), detail: 'must not be there' };
    default: {
      const words = (message ?? 'is not as the schema says').replaceAll('NOT', 'not').replace('"then"', 'then');
      return {
        pointer: at(),
        detail: propertyName === undefined ? words : `${words}, in the name ${shown(propertyName)}`,
      };
    }
  }
}

const valuesMax = 10;

function listed(values: readonly unknown[]): string {
  const some = values.slice(0, valuesMax).map((value) => {
    const text = JSON.stringify(value) ?? '';
    return text.length > 60 ? `${text.slice(0, 60)}…` : text;
  });
  return `${some.join(', ')}${values.length > valuesMax ? ', …' : ''}`;
}

function cut(pointer: string): string {
  return pointer.length > pointerCharactersMax ? `${pointer.slice(0, pointerCharactersMax)}…` : pointer;
}

/** `/amount must be number; /id must be string`; the first few. */
export function violationsText(violations: readonly Violation[], most: number): string {
  const told = violations
    .slice(0, most)
    .map(({ pointer, detail }) => `${pointer === '' ? 'the data' : shown(pointer, 220).slice(1, -1)} ${detail}`);
  const more = violations.length - told.length;
  return `${told.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}
