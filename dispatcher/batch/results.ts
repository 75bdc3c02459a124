import type { CloudEvent } from '../../event/event.ts';
import { messageOf } from '../../runtime/errors.ts';
import type { Outcome } from '../fate.ts';

/** What the answer to a batch says of each of its events. */
export interface BatchOutcome {
  /** One for each event, in their order. */
  readonly outcomes: readonly Outcome[];
  /** Whether each has one of its own; else it is the request's. */
  readonly isByEvent: boolean;
  /** What the answer has of events that were not sent. */
  readonly strangers: readonly ResultEntry[];
}

export interface ResultEntry {
  readonly source: string;
  readonly id: string;
  /** 200 to 599. */
  readonly status: number;
}

/**
 * Reads the answer to a batch. Pure.
 *
 * | answer                                             | each event                                        |
 * |----------------------------------------------------|---------------------------------------------------|
 * | none, or not 2xx                                   | as the request                                    |
 * | 2xx, no JSON object with `results`                 | as the request: delivered                         |
 * | 2xx, `{"results": [{source, id, status}, ...]}`    | by the status of its entry, with the request's headers and the entry as body |
 * | the same, but no entry for it that can be read     | not answered: to be tried again                   |
 * | 2xx, meant as results, and can't be read as a whole | not answered: to be tried again                   |
 *
 * Where several events have the same source and id, the first gets the first entry of these, and so on; those beyond
 * the last entry get the last.
 */
export function readResults(outcome: Outcome, events: readonly CloudEvent[]): BatchOutcome {
  const forAll = (one: Outcome): BatchOutcome => ({ outcomes: events.map(() => one), isByEvent: false, strangers: [] });
  if (outcome.kind !== 'answered' || outcome.status < 200 || outcome.status > 299) return forAll(outcome);
  const results = resultsIn(outcome);
  if (results === null) return forAll(outcome);
  if (typeof results === 'string') return forAll(unanswered(results));
  return byEvent(outcome, events, results);
}

type Answered = Extract<Outcome, { kind: 'answered' }>;

/** The list of entries; null where the answer is something else; what is wrong in words where it can't be read. */
function resultsIn({ body, truncated }: Answered): readonly unknown[] | string | null {
  // By its first byte and not by its content type, which many handlers leave out: most answers are no JSON object.
  const text = body.length === 0 ? '' : new TextDecoder().decode(body).trimStart();
  if (!text.startsWith('{')) return null;
  if (truncated) return `the answer is longer than ${body.length} bytes, so its results can't be read`;
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch (error) {
    return text.includes('"results"') ? `the answer's results are no JSON: ${messageOf(error)}` : null;
  }
  if (typeof answer !== 'object' || answer === null || !Object.hasOwn(answer, 'results')) return null;
  const { results } = answer as { readonly results: unknown };
  return Array.isArray(results) ? results : "the answer's results are no list";
}

function byEvent(answer: Answered, events: readonly CloudEvent[], results: readonly unknown[]): BatchOutcome {
  const entries = new Map<string, ResultEntry[]>();
  let problem: string | null = null;
  for (const [index, result] of results.entries()) {
    const wrong = problemOf(result);
    if (wrong !== null) problem ??= `results[${index}] ${wrong}`;
    else add(entries, result as ResultEntry);
  }
  const missing = unanswered(
    `the answer's results have no entry for the event${problem === null ? '' : ` that can be read; ${problem}`}`,
  );
  const taken = new Map<string, number>();
  const outcomes = events.map(({ attributes }): Outcome => {
    const key = keyOf(attributes);
    const position = taken.get(key) ?? 0;
    taken.set(key, position + 1);
    const entry = entries.get(key)?.[position] ?? entries.get(key)?.at(-1);
    if (entry === undefined) return missing;
    const { status } = entry;
    return { ...answer, status, body: status < 300 ? nothing : Buffer.from(JSON.stringify(entry)) };
  });
  const strangers = [...entries].flatMap(([key, its]) => its.slice(taken.get(key) ?? 0));
  return { outcomes, isByEvent: true, strangers };
}

const nothing = Buffer.alloc(0);

/** Why this is no entry, for the end of a sentence; null: it is one. */
function problemOf(result: unknown): string | null {
  if (typeof result !== 'object' || result === null) return 'is no object';
  const { source, id, status } = result as Readonly<Record<string, unknown>>;
  if (typeof source !== 'string') return 'has no source that is a string';
  if (typeof id !== 'string') return 'has no id that is a string';
  const isStatus = Number.isInteger(status) && Number(status) >= 200 && Number(status) <= 599;
  return isStatus ? null : 'has no status that is a number from 200 to 599';
}

function add(entries: Map<string, ResultEntry[]>, entry: ResultEntry): void {
  const key = keyOf(entry);
  const its = entries.get(key);
  if (its) its.push(entry);
  else entries.set(key, [entry]);
}

/** An event is named by both. */
function keyOf({ source, id }: { readonly source: string; readonly id: string }): string {
  return `${source.length} ${source}${id}`;
}

/** The subscriber has not said what became of it. */
function unanswered(message: string): Outcome {
  return { kind: 'unanswered', cause: 'protocol', message };
}
