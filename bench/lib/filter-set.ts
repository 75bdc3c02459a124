import type { LogRecord } from '../../broker/log/log.ts';
import { emptyState, fold, revisionRecord, triggerKey } from '../../broker/trigger/registry-state.ts';
import type { Manifest, Trigger } from '../../broker/trigger/trigger.ts';
import type { CloudEvent } from '../../event/event.ts';
import { type EventRecord, fromRecord } from '../../event/kafka.ts';

/** The triggers of the filter benchmark, and events for them. */

/** Of 20 triggers 16 ask for a type, 2 also for a beginning of the source, 1 does so in CESQL, 1 can't be indexed. */
export type Kind = 'exact' | 'prefix' | 'cesql' | 'unindexable';

/** As many regions as triggers of kind `prefix` that ask for one type. */
const regions = 10;

export function kindOf(n: number): Kind {
  const place = n % 20;
  if (place < 16) return 'exact';
  if (place < 18) return 'prefix';
  return place === 18 ? 'cesql' : 'unindexable';
}

/** An event of trigger n has this type, and comes from this region. */
function typeOf(n: number): string {
  const kind = kindOf(n);
  return `com.example.${kind}.v${kind === 'prefix' ? Math.floor(prefixNumberOf(n) / regions) : n}`;
}

function regionOf(n: number): number {
  return (kindOf(n) === 'prefix' ? prefixNumberOf(n) : n) % regions;
}

/** Those of kind `prefix` counted from 0. */
function prefixNumberOf(n: number): number {
  return 2 * Math.floor(n / 20) + (n % 2);
}

function filtersOf(n: number): readonly unknown[] {
  const type = typeOf(n);
  switch (kindOf(n)) {
    case 'exact':
      return [{ exact: { type } }];
    case 'prefix':
      return [{ exact: { type } }, { prefix: { source: `/region-${regionOf(n)}/` } }];
    case 'cesql':
      return [{ cesql: `type = '${type}' AND source LIKE '/region-%'` }];
    case 'unindexable':
      return [{ cesql: `shard % 1000 = ${Math.floor(n / 20) % 1_000}` }];
  }
}

/** The record of a registry with which trigger n is applied. */
export function revisionOf(n: number, offset: number, filters = filtersOf(n)): LogRecord {
  const name = `trigger-${String(n).padStart(5, '0')}`;
  const manifest: Manifest = {
    apiVersion: 'eventing.knative.dev/v1',
    kind: 'Trigger',
    metadata: { name },
    spec: { filters, subscriber: { uri: `http://${name}.example/` } },
  };
  const uid = `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
  const record = revisionRecord(triggerKey(name), {
    ...{ op: 'set', uid, generation: offset + 1, owner: 'bench', manifest, atMs: 0 },
  });
  return { ...record, offset, timestampMs: 0, headers: {} };
}

export function triggersOf(count: number, isWanted: (n: number) => boolean, filters = filtersOf): Trigger[] {
  const records = numbersTo(count)
    .filter(isWanted)
    .map((n, offset) => revisionOf(n, offset, filters(n)));
  const { state } = fold(emptyState({ namespace: 'default', name: 'default' }), records);
  return [...state.triggers.values()].flatMap(({ trigger }) => trigger ?? []);
}

/** Makes as many events as it is asked for, each for one of the indexable triggers, at random. */
export function eventsFor(count: number, random: () => number, hasShard: boolean): (events: number) => CloudEvent[] {
  const wanted = numbersTo(count).filter((n) => kindOf(n) !== 'unindexable');
  const records = wanted.map((n) => recordOf(n, hasShard));
  // Read anew, as a lane does it, so that nothing of an event was ever looked up before.
  return (events) =>
    Array.from({ length: events }, () => fromRecord(records[Math.floor(random() * records.length)] as EventRecord));
}

function recordOf(n: number, hasShard: boolean): EventRecord {
  const headers = {
    ce_specversion: '1.0',
    ce_id: `6e2b5b1c-${n}`,
    ce_source: `/region-${regionOf(n)}/shop-${n % 97}`,
    ce_type: typeOf(n),
    ce_time: '2026-11-21T12:00:00Z',
    ce_subject: `order-${n}`,
    'content-type': 'application/json',
    ...(hasShard && { ce_shard: String((n * 7_919) % 1_000) }),
  };
  return {
    key: null,
    value: null,
    headers: Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, Buffer.from(text)])),
  };
}

export function numbersTo(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}
