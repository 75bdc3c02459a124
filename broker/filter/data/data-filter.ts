import { parseCel } from './cel.ts';
import { compileNode } from './closures.ts';
import { Evaluation, UndecidedError } from './evaluation.ts';
import type { EventData } from './event-data.ts';
import { Failure, typeOf } from './value.ts';
import type { DataVerdict } from './verdict.ts';

/** The filter of a trigger on the data of events (`posthorn.dev/data-filter`): an expression of CEL. */
export interface DataFilter {
  /**
   * What the filter says of the event, which depends on that alone. Never throws.
   * @returns the verdict, and how many of the steps it took that it may take
   */
  judge(event: EventData): DataVerdict & { readonly steps: number };
}

/** @throws DataFilterSyntaxError where the expression can't be parsed, or can't be meant */
export function compileDataFilter(expression: string): DataFilter {
  const parsed = parseCel(expression);
  // First, as it says more of an unknown name than the check of types.
  const run = compileNode(parsed.tree);
  parsed.checkTypes();
  return {
    judge(event) {
      const evaluation = new Evaluation(event);
      try {
        const value = run(evaluation);
        const { steps } = evaluation;
        if (value === true) return { kind: 'passes', steps };
        if (value === false) return { kind: 'fails', reason: 'it is false', steps };
        if (!(value instanceof Failure)) {
          return { kind: 'fails', reason: `it is of type ${typeOf(value)}, not true or false`, steps };
        }
        return { kind: 'fails', reason: `${value.message} (at character ${value.position + 1})`, steps };
      } catch (error) {
        if (!(error instanceof UndecidedError)) throw error;
        return { kind: 'undecided', reason: error.message, steps: evaluation.steps };
      }
    },
  };
}
