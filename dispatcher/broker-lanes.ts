import { createHash } from 'node:crypto';
import { isOutage } from '../broker/log/errors.ts';
import type { BrokerTopics } from '../broker/topics.ts';
import type { Registry } from '../broker/trigger/registry.ts';
import type { Trigger } from '../broker/trigger/trigger.ts';
import { settledOrAborted } from '../runtime/abort.ts';
import { sleep, type Timer } from '../runtime/clock.ts';
import { messageOf } from '../runtime/errors.ts';
import { DurableAppender } from './append.ts';
import type { Deliverer } from './deliver.ts';
import type { DispatcherOptions } from './dispatcher.ts';
import type { Asker } from './handshake/ask.ts';
import type { LaneOptions } from './lane/lane.ts';
import type { OwnLane } from './lane/own.ts';
import { RetryLane } from './lane/retry.ts';
import { SharedLane } from './lane/shared.ts';
import { OwnLanes } from './own-lanes.ts';
import { SubscriberPermits } from './permits.ts';
import { Pipeline } from './pipeline.ts';
import { RestartPace } from './restart-pace.ts';
import { RetentionWatch } from './retention.ts';
import type { Signers } from './sign.ts';
import { BacklogGauge, LagGauge } from './waiting-gauges.ts';

/** What the lanes of all brokers share. */
export interface BrokerLanesOptions extends DispatcherOptions {
  readonly signers: Signers;
  readonly asker: Asker;
}

/** The lanes of one broker in this process: started when the log allows, kept in step with its registry. */
export class BrokerLanes {
  readonly #options: BrokerLanesOptions;
  readonly #registry: Registry;
  readonly #name: string;
  readonly #pipeline: Pipeline;
  readonly #permits: SubscriberPermits;
  readonly #closing = new AbortController();
  readonly #retryLanes = new Map<number, RetryGroup>();
  readonly #ownLanes: OwnLanes;
  readonly #retention: RetentionWatch;
  #shared: (EventsLane & { readonly lane: SharedLane }) | undefined;
  #unsubscribe: () => void = () => {};
  #triggerNames: ReadonlySet<string> = new Set();
  readonly #lag: LagGauge;
  readonly #backlog: BacklogGauge;
  #isDirty = false;
  #isUp = false;
  #work: Promise<void> = Promise.resolve();
  #rescanTimer: Timer | undefined;
  readonly #restartPace = new RestartPace();
  #restartTimer: Timer | undefined;

  /** @param cut aborts when what is still in flight is to be given up */
  constructor(options: BrokerLanesOptions, registry: Registry, deliverer: Deliverer, cut: AbortSignal) {
    this.#options = options;
    this.#registry = registry;
    this.#name = `${registry.name.namespace}/${registry.name.name}`;
    const { clock, logger, metrics, gatherer, waitingEventsMax, schemas } = options;
    this.#permits = new SubscriberPermits({
      ...options,
      broker: this.#name,
      random: Math.random,
      onChange: () => this.#pipeline.refreshLimits(),
    });
    this.#pipeline = new Pipeline({
      permits: this.#permits,
      ...{ clock, logger, metrics, deliverer, registry, waitingEventsMax, schemas },
      broker: this.#name,
      topics: () => registry.topics(),
      registryOf: ({ namespace, name }) => options.brokers.get(namespace, name),
      appender: new DurableAppender(gatherer, clock, logger, cut),
      signal: cut,
    });
    const isIdle = (trigger: Trigger) => this.#pipeline.limits.isIdle(trigger);
    this.#retention = new RetentionWatch({ ...this.#laneOptions(), broker: this.#name, isIdle });
    this.#lag = new LagGauge(options);
    this.#backlog = new BacklogGauge(options, this.#name, registry.topics().retryPrefix);
    const window = { ...options.window, bytesMax: options.window.bytesMax / ownWindowShare };
    this.#ownLanes = new OwnLanes({ ...this.#laneOptions(), window, onDue: () => this.#bringUp() });
  }

  /** Whether the lanes have begun to read. */
  get isReading(): boolean {
    return this.#shared !== undefined && this.#isUp;
  }

  /** Begins; what the log refuses for now is tried again. */
  start(): void {
    this.#unsubscribe = this.#registry.onChange(() => this.#changed());
    this.#tellNames();
    this.#refreshTriggers();
    this.#bringUp();
    this.#scheduleRescan();
  }

  /** Stops reading, waits for what is in flight until `signal`, commits. Idempotent. */
  async close(signal: AbortSignal): Promise<void> {
    this.#closing.abort();
    this.#unsubscribe();
    this.#rescanTimer?.cancel();
    this.#restartTimer?.cancel();
    this.#permits.close();
    this.#pipeline.drain();
    await settledOrAborted(this.#work, signal);
    const lanes = [...[...this.#retryLanes.values()].map((group) => group.lane), this.#shared?.lane];
    await Promise.all([...lanes.map((lane) => lane?.close(signal)), this.#ownLanes.close(signal)]);
  }

  /** Sets the gauges of lag, backlog and retention, and warns of what is soon deleted. @throws what the log throws */
  async measure(): Promise<void> {
    const { metrics } = this.#options;
    const { sharedGroup } = this.#registry.topics();
    const sharedLanes = this.#shared ? [{ group: sharedGroup, ...this.#shared }] : [];
    await this.#lag.measure([...sharedLanes, ...this.#ownLanes.lanes]);
    const retryLanes = [...this.#retryLanes.values()].map(({ lane }) => lane);
    await this.#backlog.measure(retryLanes, this.#triggerNames);
    metrics.registryFresh.set({ broker: this.#name }, this.#registry.isFresh() ? 1 : 0);
    metrics.triggersUnindexed.set({ broker: this.#name }, this.#registry.snapshot().index.unindexed);
    const shared = this.#shared ? [{ ...this.#shared, triggerUid: null }] : [];
    await this.#retention.look([...shared, ...this.#ownLanes.lanes]);
  }

  #changed(): void {
    this.#tellNames();
    this.#refreshTriggers();
    for (const { lane } of this.#retryLanes.values()) lane.refresh();
    this.#bringUp();
  }

  #refreshTriggers(): void {
    this.#permits.refresh(this.#registry.snapshot().triggers);
    this.#pipeline.refreshLimits();
  }

  /** The metrics show every trigger from the start, at 0, and none that is gone. */
  #tellNames(): void {
    const { metrics } = this.#options;
    const names = new Set([...this.#registry.snapshot().triggers.values()].map((trigger) => trigger.name));
    for (const gone of this.#triggerNames) if (!names.has(gone)) metrics.forgetTrigger(this.#name, gone);
    for (const name of names) metrics.trigger(this.#name, name);
    this.#triggerNames = names;
  }

  #scheduleRescan(): void {
    this.#rescanTimer = this.#options.clock.setTimer(() => {
      this.#bringUp();
      this.#scheduleRescan();
    }, rescanMs);
  }

  /** Brings the lanes in step with the topics that there are; changes that come meanwhile are gathered into one. */
  #bringUp(): void {
    if (this.#isDirty || this.#closing.signal.aborted) return;
    this.#isDirty = true;
    this.#work = this.#work.then(() => this.#bringUpUntilDone());
  }

  async #bringUpUntilDone(): Promise<void> {
    for (let delayMs = firstDelayMs; ; delayMs = Math.min(2 * delayMs, longestDelayMs)) {
      if (this.#shared) await sleep(this.#options.clock, gatherMs, this.#closing.signal);
      this.#isDirty = false;
      if (this.#closing.signal.aborted) return;
      // One may fail, as an events topic that is not there yet, and must not keep the other from reading.
      const results = await Promise.allSettled([this.#readEvents(), this.#ownLanes.bringUp(), this.#readRetries()]);
      const failure = results.find((result) => result.status === 'rejected');
      if (!failure) {
        this.#isUp = true;
        return;
      }
      const { logger, clock } = this.#options;
      const level = isOutage(failure.reason) ? 'debug' : 'warn';
      const error = messageOf(failure.reason);
      logger[level]({ broker: this.#name, error, delayMs }, 'lanes not brought up, trying again');
      await sleep(clock, delayMs, this.#closing.signal);
    }
  }

  async #readEvents(): Promise<void> {
    const topics = this.#registry.topics();
    if (this.#shared?.topics.join() === topics.eventTopics.join()) return;
    await this.#shared?.lane.close(AbortSignal.abort());
    this.#shared = undefined;
    const lane = new SharedLane({
      ...this.#laneOptions(),
      group: topics.sharedGroup,
      topics: topics.eventTopics,
      startAt: this.#registry.stored().broker?.startAt ?? 'earliest',
      window: this.#options.window,
    });
    await lane.start();
    this.#shared = { lane, topics: topics.eventTopics };
  }

  async #readRetries(): Promise<void> {
    const topics = this.#registry.topics();
    const { log, retryGroups } = this.#options;
    const groups = Map.groupBy(await log.listTopics(topics.retryPrefix), (topic) => groupOf(topic, retryGroups));
    const waitMs = this.#restartPace.waitMs(this.#options.clock.monotonic());
    for (const [n, names] of groups) {
      const known = this.#retryLanes.get(n);
      if (!known) await this.#startGroup(n, topics, names);
      else if (known.topics === names.join()) continue;
      // One whose restart has failed reads nothing.
      else if (waitMs > 0 && known.topics !== '') this.#restartIn(waitMs);
      else await this.#restartGroup(n, topics, names, known);
    }
  }

  async #restartGroup(n: number, topics: BrokerTopics, names: readonly string[], known: RetryGroup): Promise<void> {
    const { clock, logger } = this.#options;
    this.#restartPace.restarted(clock.monotonic());
    logger.info(
      { broker: this.#name, group: topics.retryGroup(n), topics: names.length },
      'the retry topics have changed, their consumer restarts',
    );
    known.topics = '';
    await known.lane.changeTopics(names);
    known.topics = names.join();
  }

  #restartIn(waitMs: number): void {
    this.#restartTimer ??= this.#options.clock.setTimer(() => {
      this.#restartTimer = undefined;
      this.#bringUp();
    }, waitMs);
  }

  async #startGroup(n: number, topics: BrokerTopics, names: readonly string[]): Promise<void> {
    const { bytesMax } = this.#options.window;
    const lane = new RetryLane({
      ...this.#laneOptions(),
      group: topics.retryGroup(n),
      window: { recordsMax: retryRecordsMax, bytesMax, partitionRecordsMax: triggerRetryRecordsMax },
    });
    await lane.start(names);
    this.#retryLanes.set(n, { lane, topics: names.join() });
  }

  #laneOptions(): Omit<LaneOptions, 'window'> {
    const { log, clock, logger, metrics, schemas } = this.#options;
    return { log, clock, logger, metrics, schemas, registry: this.#registry, pipeline: this.#pipeline };
  }
}

interface EventsLane {
  readonly lane: SharedLane | OwnLane;
  readonly topics: readonly string[];
}

interface RetryGroup {
  readonly lane: RetryLane;
  /** What the lane reads, joined. */
  topics: string;
}

/**
 * What waits in a retry lane is held in memory, so that it goes out in order of due time: of one trigger this many
 * records (what is behind them is not seen until there is room), of all together as many as the bytes allow.
 */
const triggerRetryRecordsMax = 12_288;
const retryRecordsMax = 65_536;

/** An own lane may hold this part of what the shared one may, in bytes: a broker may have many. */
const ownWindowShare = 4;

/** The retry topics are listed this often; a change in the registry only hurries that. */
const rescanMs = 30_000;

/** Changes of the registry within this time are one. */
const gatherMs = 500;

/** | try 2: after 250 ms | 3: 500 ms | 4: 1 s | ... | 5 s | */
const firstDelayMs = 250;
const longestDelayMs = 5_000;

/** Which retry lane reads a topic: by hash, so that every process says the same. */
function groupOf(topic: string, groups: number): number {
  return groups === 1 ? 0 : createHash('sha256').update(topic).digest().readUInt32BE(0) % groups;
}
