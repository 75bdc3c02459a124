import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../../runtime/errors.ts';
import type { LogRecord, NewRecord, StartAt, TopicOffsets } from '../log/log.ts';
import { spansAfter, withServed } from './lane-spans.ts';
import { brokerFromManifest, triggerFromManifest } from './manifest.ts';
import type { Broker, BrokerName, LaneSpan, Manifest, Trigger } from './trigger.ts';

/** One revision, as a record of a registry topic holds it (its value, as JSON); the record's key says of what. */
export interface Revision {
  readonly op: 'set' | 'delete';
  /** Given when the trigger is made; the same over its revisions. */
  readonly uid: string;
  /** The writer's count; where two wrote at once, readers count on by the order of the log. */
  readonly generation: number;
  readonly owner: string;
  /** As applied; null where op is delete. */
  readonly manifest: Manifest | null;
  /** Milliseconds since 1970, by the writer's clock. */
  readonly atMs: number;
  /** With op set, where another group than before reads for the trigger, or the first of a broker: from where on. */
  readonly laneSpan?: LaneSpan;
  /** With op delete: what waits in the trigger's retry topic is dropped, not dead-lettered. */
  readonly discard?: boolean;
}

/**
 * Beside the revisions: what the trigger's own consumer group had to deliver, of the first so many of its lane spans, is
 * delivered, and the shared one serves what came after them.
 */
export interface HandBack {
  readonly op: 'handed-back';
  readonly uid: string;
  readonly laneSpans: number;
  /** Milliseconds since 1970, by the writer's clock. */
  readonly atMs: number;
}

/** What the registry holds of a trigger or of the broker: its last revision. */
export interface Stored {
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly owner: string;
  readonly manifest: Manifest;
  readonly createdAtMs: number;
  readonly appliedAtMs: number;
  /** Why this Posthorn can't read the manifest (another version applied it), else null. */
  readonly problem: string | null;
}

export interface StoredTrigger extends Stored {
  /** The last revision that could be read; null if none could. */
  readonly trigger: Trigger | null;
}

export interface StoredBroker extends Stored {
  readonly broker: Broker | null;
  /** Where the shared lane begins to read, as the revision that made the broker has it. */
  readonly startAt: StartAt;
}

/** The registry of one broker after some prefix of its revisions. Immutable. */
export interface RegistryState {
  readonly name: BrokerName;
  readonly broker: StoredBroker | null;
  /** By name. */
  readonly triggers: ReadonlyMap<string, StoredTrigger>;
  /** The uids of triggers that were deleted. */
  readonly deleted: ReadonlySet<string>;
  /** Those of them that were deleted together with their backlog. */
  readonly discarded: ReadonlySet<string>;
}

/** A revision that was read and has no effect, or not the one that was meant; for the log lines. */
export interface Remark {
  readonly offset: number;
  readonly key: string;
  readonly message: string;
}

export interface FoldResult {
  /** The same object where no record changed anything. */
  readonly state: RegistryState;
  readonly remarks: readonly Remark[];
}

export const brokerKey = 'broker';

export function triggerKey(name: string): string {
  return `trigger/${name}`;
}

export function emptyState(name: BrokerName): RegistryState {
  return { name, broker: null, triggers: new Map(), deleted: new Set(), discarded: new Set() };
}

export function revisionRecord(key: string, revision: Revision): NewRecord {
  return { key: Buffer.from(key), value: Buffer.from(JSON.stringify(revision)), headers: {} };
}

export function handBackRecord(name: string, handBack: Omit<HandBack, 'op'>): NewRecord {
  const value: HandBack = { op: 'handed-back', ...handBack };
  return { key: Buffer.from(triggerKey(name)), value: Buffer.from(JSON.stringify(value)), headers: {} };
}

/**
 * Applies the records in their order. Every process that reads the same records comes to the same state, so races
 * between writers are decided here: the first owner of a trigger keeps it, a trigger that was made twice at once keeps
 * the first uid, and of two revisions by one owner the later stands. Pure.
 */
export function fold(state: RegistryState, records: readonly LogRecord[]): FoldResult {
  const draft: Draft = {
    name: state.name,
    broker: state.broker,
    triggers: new Map(state.triggers),
    deleted: new Set(state.deleted),
    discarded: new Set(state.discarded),
  };
  const remarks: Remark[] = [];
  let changed = false;
  for (const record of records) {
    const key = record.key?.toString('utf8') ?? '';
    const remark = (message: string): void => void remarks.push({ offset: record.offset, key, message });
    const entry = readEntry(record);
    if (typeof entry === 'string') remark(entry);
    else if (applyEntry(draft, key, entry, remark)) changed = true;
  }
  return { state: changed ? draft : state, remarks };
}

interface Draft {
  readonly name: BrokerName;
  broker: StoredBroker | null;
  readonly triggers: Map<string, StoredTrigger>;
  readonly deleted: Set<string>;
  readonly discarded: Set<string>;
}

type Remarker = (message: string) => void;

/** Returns whether anything changed. */
function applyEntry(draft: Draft, key: string, entry: Revision | HandBack, remark: Remarker): boolean {
  const name = key.startsWith('trigger/') ? key.slice('trigger/'.length) : null;
  if (key === brokerKey && entry.op !== 'handed-back') return setBroker(draft, entry, remark);
  if (name === null) {
    remark('a key that this version of Posthorn does not know');
    return false;
  }
  switch (entry.op) {
    case 'set':
      return setTrigger(draft, name, entry, remark);
    case 'delete':
      return deleteTrigger(draft, name, entry, remark);
    case 'handed-back':
      return handBack(draft, name, entry);
  }
}

/** Of a trigger that was deleted meanwhile, or by a second process, it says nothing new. */
function handBack(draft: Draft, name: string, { uid, laneSpans }: HandBack): boolean {
  const live = draft.triggers.get(name);
  if (live?.uid !== uid || live.trigger === null) return false;
  const served = withServed(live.trigger.laneSpans, laneSpans);
  if (served === live.trigger.laneSpans) return false;
  draft.triggers.set(name, { ...live, trigger: { ...live.trigger, laneSpans: served } });
  return true;
}

function setTrigger(draft: Draft, name: string, revision: Revision, remark: Remarker): boolean {
  const live = draft.triggers.get(name);
  // A writer that had not yet read the deletion: its backlog may be gone, so the uid must not live again.
  if (draft.deleted.has(revision.uid)) {
    remark('ignored: the trigger was deleted before');
    return false;
  }
  const next = nextStored(live, name, revision, remark);
  if (next === null) return false;
  const stored = readTrigger(draft, next, live, revision.laneSpan);
  if (stored.problem) remark(`can't be read: ${stored.problem}${lastGood(stored.trigger)}`);
  draft.triggers.set(name, stored);
  return true;
}

function deleteTrigger(draft: Draft, name: string, revision: Revision, remark: Remarker): boolean {
  const live = draft.triggers.get(name);
  if (live?.uid !== revision.uid) return false;
  if (live.owner !== revision.owner) {
    remark(`deletion by ${revision.owner} ignored: it belongs to ${live.owner}`);
    return false;
  }
  draft.triggers.delete(name);
  draft.deleted.add(live.uid);
  if (revision.discard) draft.discarded.add(live.uid);
  return true;
}

function setBroker(draft: Draft, revision: Revision, remark: Remarker): boolean {
  if (revision.op === 'delete') {
    remark('deletion of a broker, which this version of Posthorn does not know');
    return false;
  }
  const next = nextStored(draft.broker ?? undefined, draft.name.name, revision, remark);
  if (next === null) return false;
  const last = draft.broker?.broker ?? null;
  const { broker, problem } = readBroker(draft.name, next.manifest);
  if (problem !== null) remark(`can't be read: ${problem}${lastGood(last)}`);
  if (broker && last && !isDeepStrictEqual(broker.externalTopics, last.externalTopics)) {
    remark('ignored: the external topic of a broker is fixed once set');
    return false;
  }
  const startAt = draft.broker ? draft.broker.startAt : (revision.laneSpan?.from ?? 'earliest');
  draft.broker = { ...next, broker: broker ?? last, problem, startAt };
  // Triggers without a delivery of their own take the broker's.
  for (const stored of draft.triggers.values()) {
    draft.triggers.set(stored.name, readTrigger(draft, stored, stored));
  }
  return true;
}

/** What a set makes of what is live; null where it changes nothing. */
function nextStored(
  live: Stored | undefined,
  name: string,
  revision: Revision,
  remark: Remarker,
): Omit<Stored, 'problem'> | null {
  const { owner, manifest, atMs } = revision;
  if (manifest === null) return null;
  if (live === undefined) {
    const { uid, generation } = revision;
    return { name, uid, generation, owner, manifest, createdAtMs: atMs, appliedAtMs: atMs };
  }
  if (live.owner !== owner) {
    remark(`revision by ${owner} ignored: it belongs to ${live.owner}`);
    return null;
  }
  if (isDeepStrictEqual(live.manifest, manifest)) return null;
  const generation = Math.max(live.generation + 1, revision.generation);
  const { uid, createdAtMs } = live;
  return { name, uid, generation, owner, manifest, createdAtMs, appliedAtMs: atMs };
}

function readTrigger(
  draft: Draft,
  stored: Omit<Stored, 'problem'>,
  live: StoredTrigger | undefined,
  moved?: LaneSpan,
): StoredTrigger {
  const { uid, generation, owner, manifest } = stored;
  try {
    const identity = { uid, generation, owner, namespace: draft.name.namespace };
    const settings = triggerFromManifest(manifest, identity, draft.broker?.broker ?? null);
    const before = live ? (live.trigger?.laneSpans ?? []) : null;
    const laneSpans = spansAfter(before, settings.lane, moved?.from);
    return { ...stored, trigger: { ...settings, laneSpans }, problem: null };
  } catch (error) {
    const last = live?.trigger ?? null;
    // Which group reads for it is known all the same, so that this process and those that can read it agree on that.
    const laneSpans = last && moved ? spansAfter(last.laneSpans, moved.group, moved.from) : (last?.laneSpans ?? []);
    return { ...stored, trigger: last && { ...last, laneSpans }, problem: messageOf(error) };
  }
}

function readBroker(name: BrokerName, manifest: Manifest): Pick<StoredBroker, 'broker' | 'problem'> {
  try {
    return { broker: brokerFromManifest(manifest, name.namespace), problem: null };
  } catch (error) {
    return { broker: null, problem: messageOf(error) };
  }
}

function lastGood(last: Trigger | Broker | null): string {
  if (last === null) return '; there is no earlier revision to go by, so that events wait until it can be read';
  return 'generation' in last ? `; generation ${last.generation} stays in force` : '; the earlier one stays in force';
}

/** What the record holds, or why it is nothing that is known. */
function readEntry(record: LogRecord): Revision | HandBack | string {
  let value: unknown;
  try {
    value = JSON.parse(record.value?.toString('utf8') ?? '');
  } catch (error) {
    return `not a revision: ${messageOf(error)}`;
  }
  if (!isObject(value)) return 'not a revision: not an object';
  return value.op === 'handed-back' ? readHandBack(value) : readRevision(value);
}

function readHandBack({ uid, laneSpans, atMs }: Record<string, unknown>): HandBack | string {
  const isCount = typeof laneSpans === 'number' && Number.isSafeInteger(laneSpans) && laneSpans > 0;
  if (typeof uid !== 'string' || typeof atMs !== 'number' || !isCount)
    return 'not a hand-back: uid, laneSpans or atMs missing';
  return { op: 'handed-back', uid, laneSpans, atMs };
}

function readRevision(value: Record<string, unknown>): Revision | string {
  const { op, uid, generation, owner, manifest = null, atMs, discard, laneSpan } = value;
  if (op !== 'set' && op !== 'delete') return `not a revision: op is ${JSON.stringify(op)}`;
  if (typeof uid !== 'string' || typeof owner !== 'string') return 'not a revision: uid or owner missing';
  if (typeof generation !== 'number' || typeof atMs !== 'number') return 'not a revision: generation or atMs missing';
  if (op === 'set' && !isObject(manifest)) return 'not a revision: manifest missing';
  if (laneSpan !== undefined && !isLaneSpan(laneSpan)) return 'not a revision: laneSpan has no group or no offsets';
  return {
    ...{ op, uid, generation, owner, manifest: manifest as Manifest | null, atMs, discard: discard === true },
    ...(laneSpan !== undefined && { laneSpan }),
  };
}

function isLaneSpan(value: unknown): value is LaneSpan {
  return isObject(value) && (value.group === 'shared' || value.group === 'own') && isTopicOffsets(value.from);
}

function isTopicOffsets(value: unknown): value is TopicOffsets {
  return isOffsets(value) || (isObject(value) && Object.values(value).every(isOffsets));
}

function isOffsets(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((offset) => Number.isSafeInteger(offset) && offset >= 0);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
