import { distance } from 'fastest-levenshtein';
import { shown } from '../../event/errors.ts';
import type { CloudEvent } from '../../event/event.ts';
import { didYouMean } from '../../runtime/nearest.ts';
import { formatPath, type Path } from '../trigger/manifest-field.ts';
import type { AttributeValues, Filter } from '../trigger/trigger.ts';
import { type JudgedPart, judgeExpression, shownCharactersMax } from './explain-cesql.ts';
import { judgeData } from './explain-data.ts';
import type { Filtering } from './verdict.ts';

/** Whether an event passes a trigger's filters, and why. */
export interface Explanation {
  readonly passes: boolean;
  /** The data filter has no answer for the event, which does not pass and is dead-lettered for the trigger. */
  readonly isUndecided: boolean;
  /**
   * How many conditions there are, and how many of them the event meets: one for each attribute that is compared, each
   * part of an expression that AND or && joins, each `not`; of an `any` those of the alternative that comes nearest.
   */
  readonly conditions: number;
  readonly met: number;
  /** How alike the values are to those that are asked for, where the event does not pass: from 0 to 1. */
  readonly likeness: number;
  /** The conditions that are not met; where the event passes, those that are. None where there is no filter. */
  readonly reasons: readonly Reason[];
}

/** A condition of a filter, and what the event has there. */
export interface Reason {
  /** Where it stands in the manifest: `spec.filters[0].exact.type`. */
  readonly field: string;
  /** What it asks for and what was seen: `type must be "a", but is "b"`. */
  readonly message: string;
  /** What it looks at, by the names of attributes and the paths of data (as JSON); null where the event has none. */
  readonly seen: Readonly<Record<string, string | null>>;
  /** Of `any` why no alternative passes, of `not` why that passes which must not. */
  readonly because: readonly Reason[];
}

/** What an explanation is made of: that of one filter. */
type Judgement = Omit<Explanation, 'isUndecided'>;

/**
 * Says whether the event passes the trigger's filters, which is always what matching it says (verdict.ts), and why.
 * Looks at all conditions, also after one that isn't met; but the data filter is asked only where the others pass. Pure;
 * never throws for the filters of a trigger that was applied.
 */
export function explain({ filters, dataFilter }: Filtering, event: CloudEvent): Explanation {
  const judged = filters.map((filter, index) => {
    const path = filter.dialect === 'attributes' ? ['spec', 'filter'] : ['spec', 'filters', index];
    return judge(filter, event, path);
  });
  const byAttributes = { ...allOf(judged), isUndecided: false };
  if (dataFilter === null || !byAttributes.passes) return byAttributes;
  const data = judgeData(dataFilter, event);
  if (data.kind === 'decided') return { ...allOf([...judged, joined(data.parts, dataField)]), isUndecided: false };
  const message = `has no answer, so the event is dead-lettered for the trigger: ${data.reason}`;
  const reason: Reason = { field: dataField, message, seen: {}, because: [] };
  const undecided: Judgement = { passes: false, conditions: 1, met: 0, likeness: 0, reasons: [reason] };
  return { ...allOf([...judged, undecided]), isUndecided: true };
}

const dataField = formatPath(['metadata', 'annotations', 'posthorn.dev/data-filter']);

/** For sorting: those that pass, then those that come near to it (the share of conditions that are met), then the rest. */
export function byNearness(a: Judgement, b: Judgement): number {
  return Number(b.passes) - Number(a.passes) || share(b) - share(a) || b.likeness - a.likeness;
}

function share({ met, conditions }: Judgement): number {
  return conditions === 0 ? 1 : met / conditions;
}

function judge(filter: Filter, event: CloudEvent, above: Path): Judgement {
  const path = [...above, filter.dialect];
  switch (filter.dialect) {
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'attributes':
      return judgeAttributes(filter.dialect, filter.attributes, event, path);
    case 'all':
      return allOf(filter.filters.map((nested, index) => judge(nested, event, [...path, index])));
    case 'any': {
      const judged = filter.filters.map((nested, index) => judge(nested, event, [...path, index]));
      return anyOf(judged, formatPath(path));
    }
    case 'not':
      return opposite(judge(filter.filter, event, path), formatPath(path));
    case 'cesql':
      return joined(judgeExpression(filter.expression, event.attributes), formatPath(path));
  }
}

function allOf(judged: readonly Judgement[]): Judgement {
  const failed = judged.filter(({ passes }) => !passes);
  return {
    passes: failed.length === 0,
    conditions: sum(judged, ({ conditions }) => conditions),
    met: sum(judged, ({ met }) => met),
    likeness: failed.length === 0 ? 1 : sum(failed, ({ likeness }) => likeness) / failed.length,
    reasons: (failed.length === 0 ? judged : failed).flatMap(({ reasons }) => reasons),
  };
}

function anyOf(judged: readonly Judgement[], field: string): Judgement {
  const [best, ...others] = judged.toSorted(byNearness);
  if (best?.passes) return best;
  const message =
    others.length === 0 ? 'this must hold, but does not' : `one of these ${judged.length} must hold, but none does`;
  const because = judged.flatMap(({ reasons }) => reasons);
  const { conditions, met, likeness } = best ?? { conditions: 1, met: 0, likeness: 0 };
  return { passes: false, conditions, met, likeness, reasons: [{ field, message, seen: {}, because }] };
}

/** One condition, however many there are within it. */
function opposite({ passes, reasons }: Judgement, field: string): Judgement {
  const message = passes ? 'this must not hold, but does' : 'this does not hold, as it should be';
  const reason: Reason = { field, message, seen: {}, because: reasons };
  return { passes: !passes, conditions: 1, met: passes ? 0 : 1, likeness: passes ? 0 : 1, reasons: [reason] };
}

type AttributesDialect = 'exact' | 'prefix' | 'suffix' | 'attributes';

function judgeAttributes(
  dialect: AttributesDialect,
  wanted: AttributeValues,
  { attributes }: CloudEvent,
  path: Path,
): Judgement {
  const judged = Object.entries(wanted).map(([name, text]): Judgement => {
    const value = attributes[name];
    const asked = dialect === 'attributes' && text === '' ? 'present' : dialect === 'attributes' ? 'exact' : dialect;
    const passes = value !== undefined && holds(asked, value, text);
    const message = passes
      ? `${name} ${passing(asked, value, text)}`
      : `${name} ${words[asked]}${asked === 'present' ? '' : ` ${shownValue(text)}`}, ${butIs(name, value, text, attributes)}`;
    const reason: Reason = {
      field: formatPath([...path, name]),
      message,
      seen: { [name]: value ?? null },
      because: [],
    };
    const likeness = value === undefined || asked === 'present' ? 0 : alike(asked, value, text);
    return { passes, conditions: 1, met: passes ? 1 : 0, likeness: passes ? 1 : likeness, reasons: [reason] };
  });
  return allOf(judged);
}

/** How one attribute is compared; `present` is the `""` of Knative's older filter, for which an empty value is absent. */
type Comparison = 'exact' | 'prefix' | 'suffix' | 'present';

const words: Readonly<Record<Comparison, string>> = {
  exact: 'must be',
  prefix: 'must begin with',
  suffix: 'must end with',
  present: 'must be there and not empty',
};

function passing(asked: Comparison, value: string, wanted: string): string {
  switch (asked) {
    case 'exact':
      return `is ${shownValue(value)}`;
    case 'prefix':
      return `${shownValue(value)} begins with ${shownValue(wanted)}`;
    case 'suffix':
      return `${shownValue(value)} ends with ${shownValue(wanted)}`;
    case 'present':
      return `is there: ${shownValue(value)}`;
  }
}

function holds(asked: Comparison, value: string, wanted: string): boolean {
  switch (asked) {
    case 'exact':
      return value === wanted;
    case 'prefix':
      return value.startsWith(wanted);
    case 'suffix':
      return value.endsWith(wanted);
    case 'present':
      return value !== '';
  }
}

/** The end of a sentence that says what must be. */
function butIs(name: string, value: string | undefined, wanted: string, attributes: CloudEvent['attributes']): string {
  if (value === undefined) {
    const others = Object.keys(attributes).filter((other) => attributes[other] !== undefined);
    return `but the event has none${didYouMean(name, others)}`;
  }
  const isCase = value.toLowerCase() === wanted.toLowerCase() && wanted !== '';
  return `but is ${shownValue(value)}${isCase ? '; upper and lower case differ' : ''}`;
}

/** Longer parts are not compared, as that takes the product of their lengths. */
const comparedCharactersMax = 200;

function alike(asked: Comparison, value: string, wanted: string): number {
  const part =
    asked === 'prefix'
      ? value.slice(0, wanted.length)
      : asked === 'suffix'
        ? value.slice(Math.max(0, value.length - wanted.length))
        : value;
  const [a, b] = [part.slice(0, comparedCharactersMax), wanted.slice(0, comparedCharactersMax)];
  return 1 - distance(a, b) / Math.max(1, a.length, b.length);
}

/** The parts of an expression, all of which must hold. */
function joined(parts: readonly JudgedPart[], field: string): Judgement {
  const failed = parts.filter(({ passes }) => !passes);
  // After a part that does not hold the next ones need no answer, and their errors are no news.
  const told = failed.length === 0 ? parts : failed.filter(({ isError }, index) => index === 0 || !isError);
  return {
    passes: failed.length === 0,
    conditions: parts.length,
    met: parts.length - failed.length,
    likeness: failed.length === 0 ? 1 : 0,
    reasons: told.map((part): Reason => {
      const message = `${cut(part.text)} ${part.outcome}${valuesOf(part)}`;
      return { field, message, seen: part.seen, because: [] };
    }),
  };
}

/** `, as type is "a" and subject is missing`; an error tells itself what is missing. */
function valuesOf({ saw, isError }: JudgedPart): string {
  const values = saw.flatMap(({ name, text }) => {
    if (text === null) return isError ? [] : [`${name} is missing`];
    return [`${name} is ${text}`];
  });
  if (values.length === 0) return '';
  return `, as ${values.length === 1 ? values[0] : `${values.slice(0, -1).join(', ')} and ${values.at(-1)}`}`;
}

function shownValue(value: string): string {
  return shown(value, shownCharactersMax);
}

function cut(text: string): string {
  return text.length > shownCharactersMax ? `${text.slice(0, shownCharactersMax)}…` : text;
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
