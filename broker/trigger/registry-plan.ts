import { isDeepStrictEqual } from 'node:util';
import { PosthornError } from '../../runtime/errors.ts';
import type { NewRecord } from '../log/log.ts';
import { brokerTopics } from '../topics.ts';
import { groupOf } from './lane-spans.ts';
import {
  brokerFromManifest,
  duplicatesIn,
  type ParsedDocument,
  type Problem,
  triggerFromManifest,
} from './manifest.ts';
import {
  brokerKey,
  type RegistryState,
  type Revision,
  revisionRecord,
  type Stored,
  type StoredTrigger,
  triggerKey,
} from './registry-state.ts';
import type { Broker, BrokerName, LaneSpan } from './trigger.ts';

/** Who applies where nobody says so. */
export const defaultOwner = 'apply';

export const defaultBroker: BrokerName = { namespace: 'default', name: 'default' };

export interface ApplyRequest {
  readonly documents: readonly ParsedDocument[];
  /** Deletes and changes only what it applied. */
  readonly owner: string;
  /** Deletes the owner's triggers that are not among the documents. */
  readonly prune?: boolean;
  /** Lets `prune` delete all of the owner's triggers because no document is a trigger. */
  readonly allowEmpty?: boolean;
  /** Says what would change and changes nothing. */
  readonly dryRun?: boolean;
}

export interface AppliedChange {
  readonly kind: 'Trigger' | 'Broker';
  readonly namespace: string;
  readonly name: string;
  readonly action: 'created' | 'configured' | 'unchanged' | 'deleted';
}

/** Nothing was applied; the problems say why, one by one. */
export class ApplyRefusedError extends PosthornError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('APPLY_REFUSED', `nothing was applied: ${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}`);
    this.problems = problems;
  }
}

/** What is to be appended to the registry of one broker. */
export interface PlannedRevision {
  readonly broker: BrokerName;
  readonly key: string;
  readonly revision: Revision;
  readonly change: AppliedChange;
  /**
   * The group that begins to read at the end of the events topics, as it is now: another one than before for the
   * trigger, or the shared one of a broker on external topics. `laneSpan` is to be set. Null: none does.
   */
  readonly beginsAtEnd: LaneSpan['group'] | null;
}

export interface Plan {
  /** Of every document, in order, then what is pruned; unchanged ones too. */
  readonly changes: readonly AppliedChange[];
  /** Brokers first. */
  readonly revisions: readonly PlannedRevision[];
  /** Brokers that are to be made, by `namespace/name`. */
  readonly newBrokers: ReadonlySet<string>;
  readonly problems: readonly Problem[];
}

export interface PlanContext {
  readonly prefix: string;
  /** The registries as they stand, by `namespace/name`; the default broker is always among them. */
  readonly registries: ReadonlyMap<string, RegistryState>;
  readonly newUid: () => string;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** What bounds the number of retry topics; null: nothing does. */
  readonly retry: RetryTopics | null;
}

export interface RetryTopics {
  /** The consumer groups over which the retry topics of a broker are spread. */
  readonly groups: number;
  /** The names of those that there are, of all brokers; those of deleted triggers are kept. */
  readonly topics: ReadonlySet<string>;
}

/**
 * Retry topics in one consumer group. What Kafka keeps of a group, the topics' names once for each member and once
 * more, has to stay below 1 MB: with names of 60 characters that is 15 processes, or 8,000 topics of one.
 */
export const retryTopicsMax = 1_000;

export function fullName({ namespace, name }: { namespace: string; name: string }): string {
  return `${namespace}/${name}`;
}

/** What applying the documents comes to. Pure but for `newUid`. */
export function plan(request: ApplyRequest, context: PlanContext): Plan {
  const draft: Draft = {
    request,
    context,
    changes: [],
    revisions: [],
    newBrokers: new Set(),
    problems: duplicatesIn(request.documents).map(({ problem }) => problem),
  };
  // A Broker of the same request is made before the triggers that name it.
  for (const document of request.documents) if (document.kind === 'Broker') planBroker(draft, document);
  for (const document of request.documents) if (document.kind === 'Trigger') planTrigger(draft, document);
  if (request.prune) planPrune(draft);
  refuseTooMany(draft);
  return draft;
}

interface Draft extends Plan {
  readonly request: ApplyRequest;
  readonly context: PlanContext;
  readonly changes: AppliedChange[];
  readonly revisions: PlannedRevision[];
  readonly newBrokers: Set<string>;
  readonly problems: Problem[];
}

function planBroker(draft: Draft, document: ParsedDocument): void {
  const name = { namespace: document.namespace, name: document.name };
  const broker = brokerFromManifest(document.manifest, name.namespace);
  const state = draft.context.registries.get(fullName(name));
  const live = state?.broker ?? undefined;
  const refusal =
    refuseOwner(draft, document, live) ?? refuseOtherTopic(draft, broker, live) ?? refuseEventsAgain(draft, broker);
  if (refusal) {
    draft.problems.push(problemAt(document, refusal));
    return;
  }
  if (state === undefined) draft.newBrokers.add(fullName(name));
  const isOnlyNew = broker.externalTopics.length > 0 && broker.initialOffset === 'latest';
  const beginsAtEnd = live === undefined && isOnlyNew ? 'shared' : null;
  planSet(draft, { document, registry: name, key: brokerKey, live, beginsAtEnd });
}

function planTrigger(draft: Draft, document: ParsedDocument): void {
  const { namespace, name } = document;
  const identity = { uid: '', generation: 1, owner: draft.request.owner, namespace };
  const { broker, lane, replyTo } = triggerFromManifest(document.manifest, identity, null);
  const registry = { namespace, name: broker };
  const found = findTrigger(draft.context.registries.values(), document);
  const refusal =
    refuseUnknownBroker(draft, registry, 'spec.broker') ??
    (replyTo && refuseUnknownBroker(draft, replyTo, replyToField)) ??
    refuseOtherBroker(document, registry, found?.broker) ??
    refuseOwner(draft, document, found?.stored);
  if (refusal) {
    draft.problems.push(problemAt(document, refusal));
    return;
  }
  const before = found?.stored.trigger?.laneSpans.at(-1)?.group ?? 'shared';
  planSet(draft, {
    ...{ document, registry, key: triggerKey(name), live: found?.stored },
    beginsAtEnd: groupOf(lane) === before ? null : groupOf(lane),
  });
}

interface Refusal {
  readonly field: 'metadata.name' | keyof ParsedDocument['places'];
  readonly message: string;
}

function refuseOwner(draft: Draft, document: ParsedDocument, live: Stored | undefined): Refusal | null {
  if (live === undefined || live.owner === draft.request.owner) return null;
  return { field: 'metadata.name', message: belongsTo(document.kind, document, live.owner) };
}

function refuseOtherTopic(draft: Draft, broker: Broker, live: Stored | undefined): Refusal | null {
  if (live === undefined) return null;
  const last = liveBroker(draft, broker)?.externalTopics ?? [];
  if (isDeepStrictEqual(last, broker.externalTopics)) return null;
  const topics = brokerTopics(draft.context.prefix, broker, last).eventTopics.join();
  return {
    field: externalTopicField,
    message: `the topics of a broker are fixed once set, and broker ${fullName(broker)} has ${topics}; give others a Broker of another name`,
  };
}

/** In a topic of our own records without attributes are read as long as the Broker says that it has such. */
function refuseEventsAgain(draft: Draft, broker: Broker): Refusal | null {
  const wasData = liveBroker(draft, broker)?.valueFormat === 'data';
  if (!wasData || broker.valueFormat === 'data' || broker.externalTopics.length > 0) return null;
  return {
    field: valueFormatField,
    message: `must stay data: the topic of broker ${fullName(broker)} holds records that are no CloudEvents; give those that are a Broker of another name`,
  };
}

function liveBroker(draft: Draft, name: BrokerName): Broker | null {
  return draft.context.registries.get(fullName(name))?.broker?.broker ?? null;
}

function refuseUnknownBroker(draft: Draft, broker: BrokerName, field: Refusal['field']): Refusal | null {
  if (draft.context.registries.has(fullName(broker)) || draft.newBrokers.has(fullName(broker))) return null;
  return {
    field,
    message: `no broker ${fullName(broker)}; make it by applying a Broker of that name, before this trigger or together with it`,
  };
}

function refuseOtherBroker(trigger: ParsedDocument, broker: BrokerName, live: BrokerName | undefined): Refusal | null {
  if (live === undefined || live.name === broker.name) return null;
  return {
    field: 'spec.broker',
    message: `the broker of a trigger is fixed once set, and trigger ${fullName(trigger)} is one of ${live.name}; delete it first, or give this one another name`,
  };
}

interface PlannedSet {
  readonly document: ParsedDocument;
  readonly registry: BrokerName;
  readonly key: string;
  readonly live: Stored | undefined;
  readonly beginsAtEnd: PlannedRevision['beginsAtEnd'];
}

function planSet(draft: Draft, { document, registry, key, live, beginsAtEnd }: PlannedSet): void {
  const { kind, namespace, name, manifest } = document;
  const action = live === undefined ? 'created' : 'configured';
  const change: AppliedChange = { kind, namespace, name, action };
  if (live && isDeepStrictEqual(live.manifest, manifest)) {
    draft.changes.push({ ...change, action: 'unchanged' });
    return;
  }
  const revision: Revision = {
    op: 'set',
    uid: live?.uid ?? draft.context.newUid(),
    generation: (live?.generation ?? 0) + 1,
    owner: draft.request.owner,
    manifest,
    atMs: draft.context.nowMs,
  };
  const planned: PlannedRevision = { broker: registry, key, revision, change, beginsAtEnd };
  draft.changes.push(change);
  draft.revisions.push(planned);
}

function planPrune(draft: Draft): void {
  const { request, context } = draft;
  if (!request.allowEmpty && !request.documents.some((document) => document.kind === 'Trigger')) {
    throw new PosthornError(
      'PRUNE_EMPTY',
      `no trigger was given, so prune would delete every trigger of the owner ${request.owner}; nothing was changed`,
    );
  }
  const given = new Set(request.documents.filter(({ kind }) => kind === 'Trigger').map(fullName));
  for (const { name: broker, triggers } of context.registries.values()) {
    for (const stored of triggers.values()) {
      const name = { namespace: broker.namespace, name: stored.name };
      if (stored.owner !== request.owner || given.has(fullName(name))) continue;
      const deletion = planDeletion(broker, stored, context.nowMs, false);
      draft.changes.push(deletion.change);
      draft.revisions.push(deletion);
    }
  }
}

/** More retry topics than their groups take: then Kafka refuses the group, and nothing is retried at all. */
function refuseTooMany({ request, context, revisions, problems }: Draft): void {
  const { retry, prefix } = context;
  if (retry === null) return;
  const topicsMax = retry.groups * retryTopicsMax;
  const created = revisions.filter(({ change }) => change.kind === 'Trigger' && change.action === 'created');
  for (const [broker, its] of Map.groupBy(created, (one) => fullName(one.broker))) {
    const names = brokerTopics(prefix, its[0]?.broker ?? defaultBroker);
    const isNew = ({ change }: PlannedRevision) => !retry.topics.has(names.retry(change.name));
    const added = its.filter(isNew);
    const known = [...retry.topics].filter((topic) => topic.startsWith(names.retryPrefix)).length;
    const count = known + added.length;
    if (count <= topicsMax) continue;
    const first = added[Math.max(0, topicsMax - known)]?.change;
    const document = request.documents.find(
      (one) => one.kind === 'Trigger' && first && fullName(one) === fullName(first),
    );
    const message =
      `broker ${broker} would have ${count} retry topics (${known} are there, those of deleted triggers too), and may ` +
      `have ${topicsMax}: ${retryTopicsMax} for each of their consumer groups; stop every Posthorn and start it with ` +
      `--retry-groups ${Math.ceil(count / retryTopicsMax)}`;
    if (document) problems.push(problemAt(document, { field: 'metadata.name', message }));
  }
}

/** @param discard whether what waits in the trigger's retry topic is dropped, not dead-lettered */
export function planDeletion(broker: BrokerName, stored: Stored, nowMs: number, discard: boolean): PlannedRevision {
  const { uid, generation, owner, name } = stored;
  return {
    broker,
    key: triggerKey(name),
    revision: { op: 'delete', uid, generation: generation + 1, owner, manifest: null, atMs: nowMs, discard },
    change: { kind: 'Trigger', namespace: broker.namespace, name, action: 'deleted' },
    beginsAtEnd: null,
  };
}

export function recordOf({ key, revision }: PlannedRevision): NewRecord {
  return revisionRecord(key, revision);
}

/** The trigger of this name in whichever broker of its namespace. */
export function findTrigger(
  registries: Iterable<RegistryState>,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): { broker: BrokerName; stored: StoredTrigger } | undefined {
  for (const state of registries) {
    if (state.name.namespace !== namespace) continue;
    const stored = state.triggers.get(name);
    if (stored) return { broker: state.name, stored };
  }
  return undefined;
}

export function belongsTo(kind: string, name: { namespace: string; name: string }, owner: string): string {
  return `${kind.toLowerCase()} ${fullName(name)} belongs to the owner ${owner}, which alone may change or delete it (--owner ${owner} acts as it)`;
}

export const externalTopicField = 'metadata.annotations["kafka.eventing.knative.dev/external.topic"]';
const replyToField = 'metadata.annotations["posthorn.dev/reply-to"]';
const valueFormatField = 'metadata.annotations["posthorn.dev/value-format"]';

/** The problem, placed where the field stands. */
export function problemAt(document: ParsedDocument, { field, message }: Refusal): Problem {
  const { line, column } = field === 'metadata.name' ? document : document.places[field];
  return { severity: 'error', file: document.file, line, column, field, message };
}
