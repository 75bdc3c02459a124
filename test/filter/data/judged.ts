import { compileDataFilter } from '../../../broker/filter/data/data-filter.ts';
import { DataFilterSyntaxError } from '../../../broker/filter/data/errors.ts';
import { EventData } from '../../../broker/filter/data/event-data.ts';
import type { DataVerdict } from '../../../broker/filter/data/verdict.ts';
import { testEvent } from '../../support/events.ts';

/** What an expression says of an event with this data: a text is JSON as it is, all else is made JSON. */
export function judged(
  expression: string,
  data: unknown = {},
  attributes: Readonly<Record<string, string>> = {},
): DataVerdict & { readonly steps: number } {
  const json = typeof data === 'string' ? data : JSON.stringify(data);
  const event = testEvent({ datacontenttype: 'application/json', ...attributes }, Buffer.from(json));
  return compileDataFilter(expression).judge(new EventData(event));
}

/** Why an expression is refused, with the character, from 0; '' where it is not. */
export function refusalOf(expression: string): string {
  try {
    compileDataFilter(expression);
    return '';
  } catch (error) {
    if (!(error instanceof DataFilterSyntaxError)) throw error;
    return `${error.position}: ${error.problem}`;
  }
}
