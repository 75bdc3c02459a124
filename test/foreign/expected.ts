import type { ExpectedEvent } from '../standards/cases.ts';
import { expectedOf } from './cases.ts';
import type { Told } from './peer.ts';
import type { Sending } from './play.ts';
import type { Quirks, ReadingQuirk, Source } from './quirks.ts';
import type { Sdk } from './sdks.ts';

/** What is to become of an event that an SDK sends. */
export interface ExpectedSending {
  /** What the SDK is to say of it. */
  readonly outcome: number | string | RegExp;
  /** What subscribers get; null for nothing, be it refused or dead. */
  readonly delivered: ExpectedWith<ExpectedEvent> | null;
  readonly isDead: boolean;
}

/** An event some of whose attributes are told by a pattern. */
export interface ExpectedWith<E> {
  readonly event: E;
  readonly patterns: Readonly<Record<string, RegExp>>;
}

export function expectedSending(sdk: Sdk, { by, mode, caseName, event }: Omit<Sending, 'outcome'>): ExpectedSending {
  const mine = sdk.quirks.sending.filter(
    ({ when }) => (when.by ?? by) === by && (when.mode ?? mode) === mode && (when.cases?.includes(caseName) ?? true),
  );
  const refused = mine.find(({ outcome }) => outcome !== undefined)?.outcome;
  const isDead = mine.some((quirk) => quirk.isDead);
  const outcome = refused ?? (by === 'Kafka' ? 'produced' : 202);
  if (refused !== undefined || isDead) return { outcome, delivered: null, isDead };
  const meant = expectedOf(event);
  const data = mine.findLast((quirk) => quirk.data !== undefined)?.data ?? meant.data;
  return { outcome, delivered: overlaid({ ...meant, data }, mine), isDead };
}

/** The error that an SDK is to give when it reads this event, if any. */
export function expectedError(quirks: Quirks, from: Source, caseName: string): RegExp | undefined {
  return quirksOfReading(quirks, from, caseName).find(({ error }) => error !== undefined)?.error;
}

function quirksOfReading(quirks: Quirks, from: Source, caseName: string): readonly ReadingQuirk[] {
  return quirks.reading.filter(
    ({ when }) => (when.from?.includes(from) ?? true) && (when.cases?.includes(caseName) ?? true),
  );
}

/** What an SDK is to make of an event. */
export function expectedReading(
  quirks: Quirks,
  from: Source,
  caseName: string,
  event: ExpectedEvent,
): ExpectedWith<ExpectedEvent> {
  const mine = quirksOfReading(quirks, from, caseName);
  const attributes = Object.entries(event.attributes).map(([name, value]) => [
    name,
    name === 'datacontenttype' ? value : readAs(mine, value),
  ]);
  // What a delivery adds.
  if (from !== 'topic') attributes.push(['posthornhops', '1']);
  const data = mine.findLast((quirk) => quirk.data !== undefined)?.data ?? event.data;
  return overlaid({ attributes: Object.fromEntries(attributes), data }, mine);
}

function readAs(quirks: readonly ReadingQuirk[], value: string): string {
  return quirks.reduce((read, quirk) => quirk.value?.(read) ?? read, value);
}

function overlaid(
  event: ExpectedEvent,
  quirks: readonly { readonly attributes?: Readonly<Record<string, string | RegExp | null>> }[],
): ExpectedWith<ExpectedEvent> {
  const attributes: Record<string, string> = { ...event.attributes };
  const patterns: Record<string, RegExp> = {};
  for (const [name, value] of quirks.flatMap((quirk) => Object.entries(quirk.attributes ?? {}))) {
    if (typeof value === 'string') {
      attributes[name] = value;
      delete patterns[name];
    } else {
      delete attributes[name];
      if (value !== null) patterns[name] = value;
    }
  }
  return { event: { ...event, attributes }, patterns };
}

/** The data as the SDK gave it, made comparable: a JSON value by value, all else by bytes. */
export function dataTold(told: Told, expected: Buffer | null): { readonly got: unknown; readonly wanted: unknown } {
  const { data } = told;
  if (data === null) return { got: null, wanted: expected };
  if ('json' in data) return { got: data.json, wanted: JSON.parse(String(expected)) };
  const got = 'text' in data ? Buffer.from(data.text) : Buffer.from(data.bytes, 'base64');
  // No SDK tells no data from empty data in all modes.
  return { got: got.length === 0 ? null : got, wanted: expected };
}
