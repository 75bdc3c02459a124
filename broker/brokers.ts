import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { type Clock, sleep, type Timer } from '../runtime/clock.ts';
import { messageOf, PosthornError } from '../runtime/errors.ts';
import { isOutage, LogUnavailableError } from './log/errors.ts';
import type { Log } from './log/log.ts';
import { brokerOfRegistryTopic, type TopicSettings } from './topics.ts';
import { brokerFromManifest, type Problem } from './trigger/manifest.ts';
import { type Registry, RegistryReader, registryFreshMs } from './trigger/registry.ts';
import {
  type AppliedChange,
  ApplyRefusedError,
  type ApplyRequest,
  belongsTo,
  defaultBroker,
  externalTopicField,
  findTrigger,
  fullName,
  type Plan,
  type PlanContext,
  type PlannedRevision,
  plan,
  planDeletion,
  problemAt,
} from './trigger/registry-plan.ts';
import { brokerKey, type RegistryState } from './trigger/registry-state.ts';
import { RegistryTopics, refuseExternalTopics } from './trigger/registry-topics.ts';
import type { BrokerName } from './trigger/trigger.ts';

/** How often brokers that another process made are looked for. */
const discoverEveryMs = 3_000;

/** How long an apply waits to read back what it wrote before it says so. */
const readBackTimeoutMs = 30_000;

/** All brokers under one prefix, and how they and their triggers are changed. */
export interface Brokers {
  readonly prefix: string;
  get(namespace: string, name: string): Registry | undefined;
  /** In the order of their names. default/default is always there. */
  list(): readonly Registry[];
  /** Calls the listener after a broker was added; changes within a broker are told by its registry. */
  onChange(listener: () => void): () => void;
  /**
   * Makes the documents hold, and returns once every event that is accepted from then on meets them, in every process.
   * @throws ApplyRefusedError (nothing was changed), PosthornError, or what the log throws: then a part may be applied,
   * and applying again completes it
   */
  apply(request: ApplyRequest): Promise<readonly AppliedChange[]>;
  /**
   * Deletes a trigger; returns as apply does. What waits in its retry topic becomes dead letters, or is dropped.
   * @throws PosthornError TRIGGER_UNKNOWN or OWNED_BY_ANOTHER, or what the log throws
   */
  deleteTrigger(request: DeleteRequest): Promise<AppliedChange>;
  /** Stops reading and waiting, without waiting for what the log still has to answer. Idempotent. */
  close(): Promise<void>;
}

export interface DeleteRequest {
  readonly namespace: string;
  readonly name: string;
  readonly owner: string;
  readonly discardBacklog?: boolean;
  readonly dryRun?: boolean;
}

export interface BrokersOptions {
  readonly log: Log;
  /** What the names of all topics and groups begin with. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly topicSettings: TopicSettings;
  /** Consumer groups over which a broker's retry topics are spread. */
  readonly retryGroups: number;
}

/**
 * Makes the topics of default/default, finds the other brokers, and reads their registries to the end.
 * @throws what the log throws
 */
export async function openBrokers(options: BrokersOptions): Promise<Brokers> {
  const brokers = new LogBrokers(options);
  try {
    await brokers.start();
  } catch (error) {
    await brokers.close();
    throw error;
  }
  return brokers;
}

class LogBrokers implements Brokers {
  readonly prefix: string;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #topics: RegistryTopics;
  readonly #retryGroups: number | null;
  /** By full name; those that are only being made as well. */
  readonly #readers = new Map<string, RegistryReader>();
  readonly #adding = new Map<string, Promise<RegistryReader>>();
  readonly #listeners = new Set<() => void>();
  readonly #closing = new AbortController();
  #listed: readonly Registry[] = [];
  #applies: Promise<unknown> = Promise.resolve();
  #discoveryFailed = false;
  #timer: Timer | null = null;

  constructor({ log, prefix, clock, logger, topicSettings, retryGroups }: BrokersOptions) {
    this.prefix = prefix;
    this.#log = log;
    this.#clock = clock;
    this.#logger = logger;
    this.#topics = new RegistryTopics(log, prefix, topicSettings);
    // A group of one process is nothing that others have to be told.
    this.#retryGroups = log.sharedByProcesses ? retryGroups : null;
  }

  async start(): Promise<void> {
    await this.#topics.ensureRegistry(defaultBroker);
    const registry = await this.#add(defaultBroker);
    await this.#topics.ensureBroker(defaultBroker, registry.snapshot().broker?.externalTopics ?? []);
    await this.#discover();
    this.#scheduleDiscovery();
  }

  get(namespace: string, name: string): Registry | undefined {
    const reader = this.#readers.get(fullName({ namespace, name }));
    return reader && isServed(reader.stored()) ? reader : undefined;
  }

  list(): readonly Registry[] {
    return this.#listed;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  apply(request: ApplyRequest): Promise<readonly AppliedChange[]> {
    return this.#exclusively(async () => {
      await this.#readUp();
      const planned = plan(request, await this.#planContext());
      const problems = [...planned.problems, ...(await this.#externalTopicProblems(request, planned))];
      if (problems.length > 0) throw new ApplyRefusedError(problems);
      if (!request.dryRun) await this.#commit(planned.revisions, planned.newBrokers);
      return planned.changes;
    });
  }

  deleteTrigger({ namespace, name, owner, discardBacklog, dryRun }: DeleteRequest): Promise<AppliedChange> {
    return this.#exclusively(async () => {
      await this.#readUp();
      const found = findTrigger(this.#states().values(), { namespace, name });
      if (!found) throw new PosthornError('TRIGGER_UNKNOWN', `no trigger ${namespace}/${name}`);
      const { broker, stored } = found;
      if (stored.owner !== owner) {
        throw new PosthornError('OWNED_BY_ANOTHER', belongsTo('Trigger', { namespace, name }, stored.owner));
      }
      const deletion = planDeletion(broker, stored, this.#clock.now(), discardBacklog ?? false);
      if (!dryRun) await this.#commit([deletion], new Set());
      return deletion.change;
    });
  }

  async close(): Promise<void> {
    this.#closing.abort(new LogUnavailableError('Posthorn is closing'));
    this.#timer?.cancel();
    this.#timer = null;
    this.#listeners.clear();
    for (const reader of this.#readers.values()) reader.close();
  }

  /** Applies of this process follow one another, so that each plans on what the one before it did. */
  #exclusively<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#applies.then(() => {
      this.#closing.signal.throwIfAborted();
      return task();
    });
    this.#applies = result.catch(() => undefined);
    return result;
  }

  async #planContext(): Promise<PlanContext> {
    const { prefix } = this;
    const groups = this.#retryGroups;
    const retry = groups === null ? null : { groups, topics: new Set(await this.#log.listTopics(`${prefix}.`)) };
    return { prefix, registries: this.#states(), newUid: randomUUID, nowMs: this.#clock.now(), retry };
  }

  #states(): Map<string, RegistryState> {
    const served = this.#listed.map((registry) => registry.stored());
    return new Map(served.map((state) => [fullName(state.name), state]));
  }

  /** Reads what other processes have written. */
  async #readUp(): Promise<void> {
    if (!this.#log.sharedByProcesses) return;
    await this.#discover();
    await this.#withDeadline((signal) => Promise.all([...this.#readers.values()].map((one) => one.refresh(signal))));
  }

  async #externalTopicProblems({ documents }: ApplyRequest, { revisions }: Plan): Promise<Problem[]> {
    const problems: Problem[] = [];
    for (const { broker: name, revision, change } of revisions) {
      if (change.kind !== 'Broker' || change.action !== 'created' || revision.manifest === null) continue;
      const { externalTopics } = brokerFromManifest(revision.manifest, name.namespace);
      const message = await refuseExternalTopics(this.#log, externalTopics, this.get(name.namespace, name.name));
      const document = documents.find((one) => one.kind === 'Broker' && fullName(one) === fullName(name));
      if (message && document) problems.push(problemAt(document, { field: externalTopicField, message }));
    }
    return problems;
  }

  async #commit(revisions: readonly PlannedRevision[], newBrokers: ReadonlySet<string>): Promise<void> {
    if (revisions.length === 0) return;
    const registryOf = (name: BrokerName) => this.get(name.namespace, name.name);
    await this.#topics.ensureFor(revisions, registryOf);
    const started = await this.#topics.withStarts(revisions, registryOf);
    const groups = [...Map.groupBy(started, (one) => fullName(one.broker)).values()];
    for (const group of groups) await this.#topics.append(group);
    const appendedMs = this.#clock.monotonic();
    for (const group of groups) {
      const [first] = group;
      if (!first) continue;
      const reader = await this.#add(first.broker);
      await this.#withDeadline((signal) => reader.refresh(signal));
      confirm(group, reader.stored());
    }
    if (!this.#log.sharedByProcesses) return;
    // A new broker is found by the other processes first, and its registry read then.
    const knownMs = newBrokers.size > 0 ? discoverEveryMs + registryFreshMs : registryFreshMs;
    const leftMs = appendedMs + knownMs - this.#clock.monotonic();
    if (leftMs > 0) await sleep(this.#clock, leftMs, this.#closing.signal);
  }

  #add(name: BrokerName): Promise<RegistryReader> {
    const key = fullName(name);
    const known = this.#readers.get(key);
    if (known) return Promise.resolve(known);
    const adding = this.#adding.get(key) ?? this.#startReader(name).finally(() => this.#adding.delete(key));
    this.#adding.set(key, adding);
    return adding;
  }

  async #startReader(name: BrokerName): Promise<RegistryReader> {
    const { prefix } = this;
    const reader = new RegistryReader({ log: this.#log, prefix, name, clock: this.#clock, logger: this.#logger });
    await reader.start();
    if (this.#closing.signal.aborted) {
      reader.close();
      throw this.#closing.signal.reason;
    }
    this.#readers.set(fullName(name), reader);
    reader.onChange(() => this.#relist());
    this.#relist();
    return reader;
  }

  #relist(): void {
    const served = [...this.#readers].filter(([, reader]) => isServed(reader.stored()));
    if (served.length === this.#listed.length) return;
    this.#listed = served.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, reader]) => reader);
    for (const listener of this.#listeners) listener();
  }

  #scheduleDiscovery(): void {
    if (!this.#log.sharedByProcesses || this.#closing.signal.aborted) return;
    this.#timer = this.#clock.setTimer(() => {
      void this.#discoverAgain();
    }, discoverEveryMs);
  }

  async #discoverAgain(): Promise<void> {
    try {
      await this.#discover();
      if (this.#discoveryFailed) this.#logger.info('brokers are looked for again');
      this.#discoveryFailed = false;
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      if (!isOutage(error)) {
        if (!this.#discoveryFailed) this.#logger.error({ err: error }, `can't look for brokers: ${messageOf(error)}`);
        this.#discoveryFailed = true;
      }
    }
    this.#scheduleDiscovery();
  }

  /** @throws the first error, after all that can be read are */
  async #discover(): Promise<void> {
    const errors: unknown[] = [];
    for (const topic of await this.#log.listTopics(`${this.prefix}.`)) {
      const name = brokerOfRegistryTopic(this.prefix, topic);
      if (name && !this.#closing.signal.aborted) await this.#add(name).catch((error) => errors.push(error));
    }
    if (errors.length > 0) throw errors[0];
  }

  async #withDeadline<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const deadline = new AbortController();
    const late = new LogUnavailableError(`the registry could not be read within ${readBackTimeoutMs / 1_000} s`);
    const timer = this.#clock.setTimer(() => deadline.abort(late), readBackTimeoutMs);
    try {
      return await task(AbortSignal.any([deadline.signal, this.#closing.signal]));
    } finally {
      timer.cancel();
    }
  }
}

/**
 * A broker is there once its Broker was applied; default/default always. One whose Broker this version can't read is
 * left alone: its events may be in a topic of another name.
 */
function isServed({ name, broker }: RegistryState): boolean {
  return broker === null ? fullName(name) === fullName(defaultBroker) : broker.broker !== null;
}

/** Where two processes wrote at once, the log's order decided; whoever lost is told. */
function confirm(revisions: readonly PlannedRevision[], state: RegistryState): void {
  for (const { key, revision, change } of revisions) {
    const stored = key === brokerKey ? state.broker : state.triggers.get(change.name);
    const held = revision.op === 'delete' ? stored?.uid !== revision.uid : stored?.owner === revision.owner;
    if (held) continue;
    const { kind, namespace, name } = change;
    const meanwhile = stored ? `was changed by the owner ${stored.owner}` : 'was deleted';
    throw new PosthornError(
      'APPLY_CONFLICT',
      `${kind.toLowerCase()} ${namespace}/${name} ${meanwhile} at the same time; apply again`,
    );
  }
}
