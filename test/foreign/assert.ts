import type { Test } from 'tap';
import type { ExpectedEvent } from '../standards/cases.ts';
import { nameOf } from './cases.ts';
import { dataTold, expectedError, expectedReading } from './expected.ts';
import type { Failed, Told } from './peer.ts';
import type { Quirks, Source } from './quirks.ts';

/** All these events were read from there as they are, but for the quirks. */
export function assertRead(
  t: Test,
  quirks: Quirks,
  events: readonly ExpectedEvent[],
  source: Source,
  readOf: (id: string) => Told | Failed | undefined,
): void {
  for (const event of events) {
    const id = event.attributes.id ?? '';
    const got = readOf(id);
    const name = `${source} ${id}`;
    const error = expectedError(quirks, source, nameOf(id));
    if (error !== undefined) {
      t.match(got, { error }, name);
      continue;
    }
    if (got === undefined || 'error' in got) {
      t.fail(`${name}: ${got?.error ?? 'not read'}`);
      continue;
    }
    const expected = expectedReading(quirks, source, nameOf(id), event);
    assertAttributes(t, name, got.attributes, expected.event.attributes, expected.patterns);
    const data = dataTold(got, expected.event.data);
    t.same(data.got, data.wanted, `${name}: data`);
  }
}

/** @param patterns of attributes that are not among `wanted` */
export function assertAttributes(
  t: Test,
  name: string,
  got: Readonly<Record<string, string>>,
  wanted: object,
  patterns: Readonly<Record<string, RegExp>>,
): void {
  const rest: Record<string, string> = { ...got };
  for (const [attribute, pattern] of Object.entries(patterns)) {
    t.match(rest[attribute], pattern, `${name}: ${attribute}`);
    delete rest[attribute];
  }
  t.same(rest, wanted, `${name}: attributes`);
}
