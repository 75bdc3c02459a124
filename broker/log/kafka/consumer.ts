import type { Logger } from 'pino';
import { type Clock, sleep } from '../../../runtime/clock.ts';
import { messageOf } from '../../../runtime/errors.ts';
import { LogUnavailableError, StaleEpochError } from '../errors.ts';
import type { ConsumeOptions, LogConsumer, TopicCommit, TopicPartition } from '../log.ts';
import type { Cluster } from './cluster.ts';
import { beforeDeadline } from './kafka-error.ts';
import { type Generation, isOustedError, isRebalanceError, Membership } from './membership.ts';
import type { Outage } from './outage.ts';
import { readPositions } from './positions.ts';
import { beyondEndError, partitionKey, Reader } from './reader.ts';

/** offset.metadata.max.bytes of Kafka's defaults, where it counts UTF-16 units. */
const metadataUnitsMax = 4_096;

/** How long a commit is tried again, in milliseconds. The next one brings the same and more. */
const commitTimeoutMs = 10_000;

/** How long closing waits for the group, in milliseconds. A group that was not told waits for the session to time out. */
const leaveTimeoutMs = 3_000;

/** Before a consumer that lost its group joins again, in milliseconds. */
const rejoinPauseMs = 500;

/** The same trouble is told at most this often, in milliseconds. */
const disturbedEveryMs = 10_000;

export interface KafkaConsumerOptions extends ConsumeOptions {
  /** This consumer's own: for joining, heartbeats and fetches. Closed with it. */
  readonly own: Cluster;
  /** For commits and questions. */
  readonly shared: Cluster;
  readonly sessionTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly growthCheckMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly outage: Outage;
}

/**
 * A member of a consumer group that reads:
 *
 *   join -> take over partitions -> read their positions -> assigned -> fetch, hand out … until the group rebalances,
 *   and again
 *
 * Every join is a new epoch. A commit carries the group's generation of its epoch, so Kafka itself refuses one that
 * comes late. Lease: who has not heard from the group for the session timeout (stopped, cut off) hands out no records,
 * for another member may have the partitions by now. Watchdog: a member whose heartbeats are not answered for the
 * session timeout, or whose commits have failed for twice that time, counts as out; it gives its partitions up, drops
 * its connections and begins anew.
 */
export class KafkaConsumer implements LogConsumer {
  readonly #options: KafkaConsumerOptions;
  readonly #membership: Membership;
  readonly #paused = new Set<string>();
  readonly #closing = new AbortController();
  readonly #told = new Map<string, number>();
  #reader: Reader | null = null;
  #generation: Generation | null = null;
  #epoch = 0;
  /** On the monotonic clock: when the last request was sent by whose answer the group had us as a member. */
  #aliveMs = Number.NEGATIVE_INFINITY;
  #commitsFailSinceMs: number | null = null;
  #running: Promise<void> = Promise.resolve();
  #closed: Promise<void> | null = null;

  constructor(options: KafkaConsumerOptions) {
    this.#options = options;
    const { own, group, topics, sessionTimeoutMs, clock } = options;
    this.#membership = new Membership({ cluster: own, group, topics, sessionTimeoutMs, clock });
  }

  /** Call once. The handler is not called before this has returned. */
  start(): void {
    this.#running = this.#run();
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.#paused.add(partitionKey(partition));
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const partition of partitions) this.#paused.delete(partitionKey(partition));
    this.#reader?.resumed();
  }

  async commit(epoch: number, commits: readonly TopicCommit[]): Promise<void> {
    for (const { topic, partition, metadata } of commits) {
      if (metadata.length <= metadataUnitsMax) continue;
      throw new RangeError(
        `the commit metadata of ${topic}[${partition}] has more than ${metadataUnitsMax} characters`,
      );
    }
    const generation = this.#generationOf(epoch);
    if (commits.length === 0) return;
    const { shared, group, clock } = this.#options;
    try {
      await shared.ask(
        `committing of group ${group}`,
        () => {
          this.#generationOf(epoch);
          return this.#membership.commit(shared, generation, commits);
        },
        { timeoutMs: commitTimeoutMs },
      );
      this.#commitsFailSinceMs = null;
    } catch (error) {
      if (isOustedError(causeOf(error)) || isRebalanceError(causeOf(error))) {
        throw new StaleEpochError(epoch, this.#epoch);
      }
      if (!(error instanceof StaleEpochError)) this.#commitsFailSinceMs ??= clock.monotonic() - commitTimeoutMs;
      throw error;
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const { own, shared, handler, group, clock, logger } = this.#options;
    this.#closing.abort();
    this.#reader?.stop();
    this.#reader = null;
    this.#generation = null;
    // Not from within the handler, should it be the one that closes.
    await Promise.resolve();
    handler.assigned([], ++this.#epoch);
    try {
      const deadlineMs = clock.monotonic() + leaveTimeoutMs;
      await beforeDeadline(deadlineMs, clock, 'the group does not answer', () =>
        shared.ask(`leaving group ${group}`, () => this.#membership.leave(shared), { timeoutMs: leaveTimeoutMs }),
      );
    } catch (error) {
      logger.debug({ err: messageOf(error) }, `group ${group} learns by a timeout that a member has left`);
    }
    await own.close();
    await this.#running;
  }

  #generationOf(epoch: number): Generation {
    if (this.#generation === null || epoch !== this.#epoch) throw new StaleEpochError(epoch, this.#epoch);
    return this.#generation;
  }

  async #run(): Promise<void> {
    const { clock, own } = this.#options;
    const { signal } = this.#closing;
    // The caller has the consumer before its handler hears of it.
    await new Promise((resolve) => setImmediate(resolve));
    while (!signal.aborted) {
      try {
        await this.#serveGeneration();
      } catch (error) {
        if (signal.aborted) return;
        this.#loseOwnership();
        this.#disturbed(error);
        own.reset();
        await sleep(clock, rejoinPauseMs, signal);
      }
    }
  }

  /** From a join to the next one. @throws Error when the partitions are lost */
  async #serveGeneration(): Promise<void> {
    const generation = await this.#join();
    this.#aliveMs = generation.syncedMs;
    const { signal } = this.#closing;
    if (signal.aborted) return;
    const over = new AbortController();
    const abort = (): void => over.abort();
    signal.addEventListener('abort', abort);
    const ended = this.#keepAlive(generation, over.signal);
    ended.catch(() => {});
    try {
      const begun = this.#begin(generation, over.signal);
      begun.catch(() => {});
      await Promise.race([begun, ended]);
      await ended;
    } finally {
      over.abort();
      signal.removeEventListener('abort', abort);
      this.#reader?.stop();
      this.#reader = null;
    }
  }

  #join(): Promise<Generation> {
    const { own, group, sessionTimeoutMs } = this.#options;
    const { signal } = this.#closing;
    const attempt = async (): Promise<Generation> => {
      try {
        return await this.#membership.join();
      } catch (error) {
        // Overtaken by another rebalance: at once again, as a member or as a new one.
        if (isRebalanceError(error) || isOustedError(error)) throw new Error(messageOf(error), { cause: error });
        throw error;
      }
    };
    return own.ask(`joining group ${group}`, attempt, { timeoutMs: sessionTimeoutMs, signal });
  }

  /** Reads the positions, tells the handler, and begins to fetch. */
  async #begin(generation: Generation, signal: AbortSignal): Promise<void> {
    const { own, shared, group, startAt, handler, clock, outage, sessionTimeoutMs } = this.#options;
    const question = { cluster: shared, membership: this.#membership, group, generation, startAt };
    const options = { timeoutMs: 2 * sessionTimeoutMs, signal };
    const positions = await shared.ask(
      `reading the positions of group ${group}`,
      () => readPositions(question),
      options,
    );
    if (signal.aborted) return;
    const owned = new Set(positions.assignments.map(partitionKey));
    for (const key of this.#paused) if (!owned.has(key)) this.#paused.delete(key);
    this.#generation = generation;
    handler.assigned(positions.assignments, ++this.#epoch);
    for (const range of positions.lost) if (!signal.aborted) handler.lost(range);
    for (const beyond of positions.beyond) if (!signal.aborted) handler.disturbed(beyondEndError(beyond));
    if (signal.aborted) return;
    this.#reader = new Reader({
      ...{ cluster: own, assignments: positions.assignments, paused: this.#paused, handler, clock, outage },
      hasLease: () => clock.monotonic() - this.#aliveMs < sessionTimeoutMs,
      disturbed: (error) => this.#disturbed(error),
    });
    this.#reader.start();
  }

  /** Resolves when it is time to join again. @throws Error when the group has, or must have, given us up */
  async #keepAlive(generation: Generation, signal: AbortSignal): Promise<void> {
    const { group, clock, heartbeatMs, sessionTimeoutMs, growthCheckMs, outage } = this.#options;
    const what = `the heartbeats of group ${group}`;
    let growthCheckedMs = clock.monotonic();
    for (;;) {
      await sleep(clock, heartbeatMs, signal);
      if (signal.aborted) return;
      const nowMs = clock.monotonic();
      if (this.#commitsFailSinceMs !== null && nowMs - this.#commitsFailSinceMs > 2 * sessionTimeoutMs) {
        this.#commitsFailSinceMs = null;
        throw new Error(`no commit has worked for ${2 * sessionTimeoutMs} ms; joining anew`);
      }
      try {
        await this.#membership.heartbeat(generation);
        this.#aliveMs = nowMs;
        outage.worked(what);
      } catch (error) {
        if (signal.aborted || isRebalanceError(error)) return;
        if (isOustedError(error)) throw error;
        outage.failed(what, error, nowMs);
        if (clock.monotonic() - this.#aliveMs > sessionTimeoutMs) {
          const message = `no heartbeat was answered for ${sessionTimeoutMs} ms: ${messageOf(error)}`;
          throw new LogUnavailableError(message, { cause: error, isOutage: true });
        }
        continue;
      }
      if (generation.leads !== null && nowMs - growthCheckedMs >= growthCheckMs) {
        growthCheckedMs = nowMs;
        if (await this.#haveTopicsGrown(generation.leads)) return;
      }
    }
  }

  async #haveTopicsGrown({ topics, partitions }: NonNullable<Generation['leads']>): Promise<boolean> {
    try {
      const now = await this.#options.shared.freshPartitions(topics);
      return [...now].some(([topic, { length }]) => length > (partitions.get(topic)?.length ?? 0));
    } catch {
      return false; // asked again soon
    }
  }

  #loseOwnership(): void {
    if (this.#generation === null) return;
    this.#generation = null;
    this.#paused.clear();
    this.#options.handler.assigned([], ++this.#epoch);
  }

  #disturbed(error: unknown): void {
    const { clock, handler } = this.#options;
    if (this.#closing.signal.aborted) return;
    const message = messageOf(error);
    const nowMs = clock.monotonic();
    for (const [told, toldMs] of this.#told) if (nowMs - toldMs >= disturbedEveryMs) this.#told.delete(told);
    if (this.#told.has(message)) return;
    this.#told.set(message, nowMs);
    handler.disturbed(error instanceof Error ? error : new Error(message));
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof LogUnavailableError ? error.cause : error;
}
