import type { Ajv, Format } from 'ajv';
import { Pattern } from '../filter/data/pattern.ts';
import { stepKeyword } from './document.ts';

/**
 * How much work the validation of one event's data may be: states of patterns times characters, references that are
 * followed, members that are compared. At most about 0.1 µs each; a pattern as `^[a-z]+$` takes three a character.
 */
export const stepsMax = 2_000_000;

/** What ajv keeps of alternatives that fail takes more memory than time: 100,000 references are 100 MB at worst. */
export const stepsPerReference = 20;

/** The validation would take longer than any event is worth. */
export class TooMuchWorkError extends Error {}

/** What the validation that is under way has spent. One at a time, since it never waits. */
class Budget {
  #steps = 0;

  /** What comes next is paid for anew. */
  reset(): void {
    this.#steps = 0;
  }

  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > stepsMax) throw new TooMuchWorkError(`it would take more than ${stepsMax} steps to judge`);
  }
}

export const budget = new Budget();

/**
 * A regular expression of a schema, run by RE2: whatever its author wrote, and whatever a producer sends, it takes time
 * in proportion to the text.
 * @throws Error where RE2 does not know the syntax (look-around, back references)
 */
export function regExp(source: string): { test(text: string): boolean; toString(): string } {
  const pattern = new Pattern(source.replace(/\\(?:u\{?([\dA-Fa-f]+)\}?|[\s\S])/g, translated));
  // By its text ajv tells it from the others of a schema.
  return { test: (text) => pattern.test(text, budget), toString: () => source };
}

/** JavaScript writes a character by its number as RE2 does not. */
function translated(written: string, hex: string | undefined): string {
  return hex === undefined ? written : `\\x{${hex}}`;
}

/** Text of a format that may be longer is cut into no backtracking: a longer one is not of the format. */
const formatCharactersMax = 65_536;

/** The format, with a bound on how much text it looks at. */
export function boundedFormat(format: Format): Format {
  const check = checkOf(format);
  if (check === null) return format;
  return (text: string) => {
    budget.spend(Math.ceil(text.length / 8));
    return text.length <= formatCharactersMax && check(text);
  };
}

/** Null: it is one of numbers. */
function checkOf(format: Format): ((text: string) => boolean) | null {
  if (typeof format === 'function') return format as (text: string) => boolean;
  if (format instanceof RegExp) return testOf(format);
  if (typeof format !== 'object' || format.type === 'number') return null;
  const { validate } = format;
  if (validate instanceof RegExp) return testOf(validate);
  return typeof validate === 'function' ? (validate as (text: string) => boolean) : null;
}

/** One that is global would begin where it ended before. */
function testOf({ source, flags }: RegExp): (text: string) => boolean {
  const once = new RegExp(source, flags.replace('g', ''));
  return (text) => once.test(text);
}

/** Puts keywords of Posthorn's own in the place of ajv's, whose time or results are not to be had from a producer. */
export function addKeywords(ajv: Ajv): void {
  ajv.addKeyword({
    keyword: stepKeyword,
    schemaType: 'boolean',
    // What comes after a reference that fails is not looked at.
    before: '$ref',
    errors: false,
    validate: () => {
      budget.spend(stepsPerReference);
      return true;
    },
  });
  // ajv compares each item with each other.
  ajv.removeKeyword('uniqueItems');
  ajv.addKeyword({
    keyword: 'uniqueItems',
    type: 'array',
    schemaType: 'boolean',
    error: { message: 'must NOT have duplicate items' },
    validate: (isWanted: boolean, data: unknown[]) => !isWanted || areUnique(data),
  });
  // ajv divides, by which 19.99 is no multiple of 0.01.
  ajv.removeKeyword('multipleOf');
  ajv.addKeyword({
    keyword: 'multipleOf',
    type: 'number',
    schemaType: 'number',
    error: { message: ({ schema }) => `must be multiple of ${schema}` },
    validate: (of: number, data: number) => isMultiple(data, of),
  });
}

function areUnique(items: readonly unknown[]): boolean {
  return items.length < 2 || new Set(items.map(canonical)).size === items.length;
}

/** JSON that is the same for equal values (JSON Schema Core, 4.2.2). */
export function canonical(value: unknown): string {
  budget.spend(1);
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) {
    return typeof value === 'number' ? String(value === 0 ? 0 : value) : JSON.stringify(value);
  }
  const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`);
  return `{${members.sort().join()}}`;
}

/** Whether the decimal numbers as they are written divide without a rest. */
export function isMultiple(value: number, of: number): boolean {
  if (!Number.isFinite(value)) return false;
  if (Number.isSafeInteger(value) && Number.isSafeInteger(of)) return value % of === 0;
  const [a, b] = [decimal(value), decimal(of)];
  const exponent = Math.min(a.exponent, b.exponent);
  const scaled = ({ digits, exponent: own }: Decimal): bigint => digits * 10n ** BigInt(own - exponent);
  return scaled(a) % scaled(b) === 0n;
}

interface Decimal {
  readonly digits: bigint;
  /** Of ten. */
  readonly exponent: number;
}

function decimal(value: number): Decimal {
  const [, sign = '', whole = '0', part = '', power = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value)) ?? [];
  return { digits: BigInt(`${sign}${whole}${part}`), exponent: Number(power) - part.length };
}
