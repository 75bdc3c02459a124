import { PosthornError } from '../runtime/errors.ts';
import { didYouMean } from '../runtime/nearest.ts';

/** The parameters of a request, each of its kind. */
export interface Query {
  text(name: string): string | undefined;
  on(name: string): boolean;
  /** A whole number from 1 to `max`. @throws PosthornError for any other */
  count(name: string, max: number): number | undefined;
}

/** `any` is for who reads it by other rules. */
type Kind = 'text' | 'switch' | 'count' | 'any';

/** @throws PosthornError for a parameter that is not known, or not of its kind */
export function readQuery(query: unknown, known: Readonly<Record<string, Kind>>): Query {
  const given = query as Readonly<Record<string, unknown>>;
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(known, name))
      throw badRequest(`unknown parameter ${name}${didYouMean(name, Object.keys(known))}`);
    if (typeof value !== 'string') throw badRequest(`${name} is given more than once`);
    if (known[name] === 'switch' && !/^(true|false|)$/.test(value)) throw badRequest(`${name} is true or false`);
    if (known[name] === 'text' && !/^[\w.:/-]{1,253}$/.test(value)) {
      throw badRequest(`${name} is 1 to 253 letters, digits and . _ : / -, not ${JSON.stringify(value)}`);
    }
  }
  const text = (name: string): string | undefined => given[name] as string | undefined;
  return {
    text,
    on: (name) => given[name] === 'true' || given[name] === '',
    count(name, max) {
      const value = text(name);
      if (value === undefined) return undefined;
      const number = /^\d{1,9}$/.test(value) ? Number(value) : 0;
      if (number >= 1 && number <= max) return number;
      throw badRequest(`${name} is a whole number, 1 to ${max}, not ${JSON.stringify(value)}`);
    },
  };
}

export function badRequest(message: string): PosthornError {
  return new PosthornError('BAD_REQUEST', message);
}
