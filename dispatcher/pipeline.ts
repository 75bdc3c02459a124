import { RecordTooLargeError } from '../broker/log/errors.ts';
import type { LogRecord } from '../broker/log/log.ts';
import type { BrokerTopics } from '../broker/topics.ts';
import type { Trigger } from '../broker/trigger/trigger.ts';
import { deliverAtOf } from '../event/deliver-at.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { DeadLetterReason, TriggerTally } from '../runtime/tallies.ts';
import { Batches } from './batch/batches.ts';
import { deadLetterEvent, failureOf, toRawRecord } from './dead-letter.ts';
import { DeadLetterTopic } from './dead-letter-topic.ts';
import { classOf, decide, healthOf, retryAfterMs } from './decide.ts';
import type { Deliverer } from './deliver.ts';
import { failureLine } from './failure-line.ts';
import {
  type Delivery,
  type FailedAttempt,
  type Fate,
  type GivenUp,
  type Hold,
  type Origin,
  type Outcome,
  RevokedError,
} from './fate.ts';
import { TriggerLimits, type TriggerLimitsOptions } from './limit/trigger-limits.ts';
import type { Turn } from './limit/turn.ts';
import type { LaneKind, Waiting } from './limit/waiting-queue.ts';
import { RepeatBounds } from './repeat-bound.ts';
import { Replies } from './replies.ts';
import { hopsOfDelivery, replyOf } from './reply.ts';
import type { ReplyTargetsOptions } from './reply-target.ts';
import { toRetryRecord } from './retry.ts';

/**
 * Joins the stages for one broker. Lanes put deliveries in; a delivery is settled when its fate is durable.
 *
 *   shared lane ──┐                              ┌─ delivered ──── reply? ─ append to the events topic ─┐
 *                 ├─ limit ── deliver ── decide ─┼─ retry ─────── append to the trigger's retry topic ──┼─ settled
 *   retry lane ───┘    ▲                         └─ deadLetter ─┬─ append to the dead-letter topic ─────┘
 *                      └──────── deadLetterSink, if there is one ┘  (with the sink's outcome)
 *
 * Where the trigger wants batches, several deliveries go to the subscriber in one request, and each is decided alone.
 */
export class Pipeline {
  readonly #options: PipelineOptions;
  /** How much of each trigger is under way in this process; the lanes look before they put more in. */
  readonly limits: TriggerLimits;
  readonly #repeatBounds = new RepeatBounds();
  readonly #deadLetters: DeadLetterTopic;
  readonly #replies: Replies;
  readonly #batches: Batches;
  #isDraining = false;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#deadLetters = new DeadLetterTopic(options.appender, () => options.topics().deadLetter);
    const tallyOf = (trigger: Trigger): TriggerTally => this.#tally(trigger);
    this.#replies = new Replies({ ...options, deadLetters: this.#deadLetters, tallyOf });
    this.limits = new TriggerLimits({
      ...options,
      random: Math.random,
      triggers: () => options.registry.snapshot().triggers,
      deliver: (waiting, turn, others) =>
        others === null ? this.#take(waiting, turn) : this.#batches.take([waiting, ...others], turn),
    });
    this.#batches = new Batches({
      ...{ ...options, limits: this.limits, bounds: this.#repeatBounds, replies: this.#replies, tallyOf },
      steps: {
        isInTurn: (delivery, turn) => this.#isInTurn(delivery, turn),
        again: ({ delivery, hold, lane }) => this.deliver(delivery, hold, lane),
        delivered: (delivery) => this.#countDelivered(delivery),
        failed: (attempt, { hold }) => this.#failed(attempt, hold),
        unsettled: ({ hold }, error) => this.#unsettled(hold, error),
      },
    });
  }

  /** The triggers have changed: what waits goes on under their new limits. */
  refreshLimits(): void {
    this.limits.refresh();
    this.#repeatBounds.refresh(this.#options.registry.snapshot().triggers);
  }

  /** Begins no more attempts: what waits for its turn is let go. Those in flight go on. */
  drain(): void {
    this.#isDraining = true;
    this.limits.close();
    for (const { hold } of this.limits.takeOut(() => true)) hold.drop();
    this.#repeatBounds.open();
  }

  /** Delivers in the trigger's turn, and settles once the fate is durable. */
  deliver(delivery: Delivery, hold: Hold, lane: LaneKind): void {
    if (this.#isDraining) hold.drop();
    else this.limits.of(delivery.trigger, delivery.target.kind).add({ lane, delivery, hold });
  }

  /** Leaves a delivery of a trigger that can't take more to its retry topic, due at once, with no attempt counted. */
  spill(delivery: Delivery, hold: Hold): void {
    const { clock } = this.#options;
    const next = { atMs: clock.now(), attempt: delivery.attempt, reason: 'the trigger was busy' };
    this.#tally(delivery.trigger).spilled();
    void this.#settle(this.#appendRetry(delivery, next, null), hold);
  }

  /** Puts a delivery that waits to the end of its retry topic, as it is. */
  postpone(delivery: Delivery, { dueAtMs, reason }: { dueAtMs: number; reason: string }, hold: Hold): void {
    const next = { atMs: dueAtMs, attempt: delivery.attempt, reason };
    void this.#settle(this.#appendRetry(delivery, next, null), hold);
  }

  /** Gives up a delivery that the subscriber is not to be asked for. */
  giveUp(delivery: Delivery, category: DeadLetterReason, reason: string, hold: Hold): void {
    void this.#settle(this.#giveUp(delivery, category, reason, null), hold);
  }

  /** A record that can't be read as what it should be, or violates its schema, goes raw to the dead-letter topic. */
  unreadable(record: LogRecord, origin: Origin, reason: string, hold: Hold, by: 'unreadable' | 'schema'): void {
    const { metrics, broker, logger } = this.#options;
    metrics.trigger(broker, noTrigger).deadLettered(by);
    const what = by === 'schema' ? 'event violates its schema' : 'record is not an event';
    logger.warn({ broker, ...origin, reason }, `${what}, dead-lettered`);
    void this.#settle(this.#deadLetters.append(toRawRecord(record, origin, reason)), hold);
  }

  /** A delivery whose trigger was deleted is dead-lettered, or discarded if the deletion said so. */
  abandon(delivery: GivenUp, hold: Hold): void {
    void this.#settle(this.#abandon(delivery), hold);
  }

  /** What is not durable stays unsettled, and is repeated after the next start. */
  async #settle(durable: Promise<void>, hold: Hold): Promise<void> {
    try {
      await durable;
    } catch (error) {
      this.#unsettled(hold, error);
      return;
    }
    hold.settle();
  }

  #unsettled(hold: Hold, error: unknown): void {
    hold.drop();
    const { broker, logger, signal } = this.#options;
    if (signal.aborted || error instanceof RevokedError) return;
    logger.error({ broker, err: error }, 'a delivery failed by a bug in Posthorn; not settled');
  }

  /** Lets go of what waits for its turn and is another's by now. */
  dropRevoked(): void {
    for (const { hold } of this.limits.takeOut(({ hold }) => hold.isRevoked)) hold.drop();
  }

  /** Cuts the requests of ordered triggers whose records are another's by now: what comes next there is not ours. */
  cutRevoked(): void {
    this.#options.deliverer.cutRevoked();
  }

  async #take(waiting: Waiting, turn: Turn): Promise<void> {
    const { delivery, hold } = waiting;
    const bound = this.#repeatBounds.of(delivery.trigger, delivery.target.kind);
    const mayBegin = bound.begin();
    if (mayBegin !== undefined) await mayBegin;
    if (this.#isDraining || hold.isRevoked) hold.drop();
    else if (mayBegin !== undefined && !(this.#isInTurn(delivery, turn) && this.#goesAlone(delivery))) {
      this.deliver(delivery, hold, waiting.lane);
    } else {
      try {
        if ((await this.#begin(delivery, hold, turn)) !== 'kept') hold.settle(bound);
      } catch (error) {
        this.#unsettled(hold, error);
      }
    }
    bound.end();
    turn.ended('unknown');
  }

  /** Whether what had to wait for a commit may begin all the same: there was no pause meanwhile, nor a breaker opened. */
  #isInTurn({ trigger, target }: Delivery, turn: Turn): boolean {
    return !this.#isDraining && (turn.isProbe || this.limits.of(trigger, target.kind).concurrency > 0);
  }

  /** No revision has come meanwhile that wants batches. */
  #goesAlone({ trigger, target }: Delivery): boolean {
    const batch = this.#options.registry.snapshot().triggers.get(trigger.uid)?.batch;
    return target.kind === 'deadLetterSink' || !batch;
  }

  /** The delivery's turn has come, under the revision of its trigger that is in force now. */
  #begin(waiting: Delivery, hold: Hold, turn: Turn): Promise<Settling> {
    const trigger = this.#options.registry.snapshot().triggers.get(waiting.trigger.uid);
    if (!trigger) return this.#abandon(waiting);
    const delivery = trigger === waiting.trigger ? waiting : { ...waiting, trigger };
    const { target } = delivery;
    if (target.kind === 'subscriber') return this.#attempt(delivery, trigger.subscriberUri, hold, turn);
    const sinkUri = trigger.delivery.deadLetterSinkUri;
    // A revision may have taken the sink away.
    return sinkUri === null
      ? this.#deadLetters.appendFailure(delivery, target.failure, null)
      : this.#attempt(delivery, sinkUri);
  }

  async #abandon(delivery: GivenUp): Promise<void> {
    const { clock, metrics, broker, registry } = this.#options;
    if (registry.snapshot().discarded.has(delivery.trigger.uid)) return;
    if (delivery.target.kind === 'deadLetterSink')
      return this.#deadLetters.appendFailure(delivery, delivery.target.failure, null);
    metrics.trigger(broker, noTrigger).deadLettered('trigger_deleted');
    await this.#deadLetters.appendFailure(delivery, failureOf(delivery, 'trigger deleted', null, clock.now()), null);
  }

  /**
   * @param hold of a subscriber's attempt, which may be retried in its place; none for a dead letter sink
   * @param turn likewise: how the subscriber is is told to its limit
   */
  async #attempt(delivery: Delivery, url: string, hold?: Hold, turn?: Turn): Promise<Settling> {
    const { clock } = this.#options;
    const { trigger } = delivery;
    const tally = this.#tally(trigger);
    const startedAtMs = clock.now();
    const startedAt = clock.monotonic();
    let outcome: Outcome;
    tally.started();
    try {
      outcome = await this.#call(delivery, url, hold);
    } catch (error) {
      tally.aborted();
      throw error;
    }
    tally.ended(classOf(outcome), (clock.monotonic() - startedAt) / 1_000);
    const onGone = turn ? trigger.onGone : 'dead-letter';
    const endedAtMs = clock.now();
    const fate = decide(outcome, delivery.attempt, trigger.delivery, endedAtMs, Math.random(), onGone);
    if (fate.kind === 'delivered') {
      turn?.ended(healthOf(outcome, onGone), 0);
      return this.#delivered(delivery, outcome);
    }
    const failing = this.#failed({ delivery, url, outcome, fate, startedAtMs, endedAtMs }, hold);
    turn?.ended(healthOf(outcome, onGone), retryAfterMs(outcome, trigger.delivery, endedAtMs));
    return failing;
  }

  /** Says that an attempt has failed, and resolves once its fate is durable, or the lane has the delivery again. */
  async #failed(attempt: FailedAttempt, hold?: Hold): Promise<Settling> {
    const { broker, logger } = this.#options;
    const { delivery, outcome, fate, startedAtMs } = attempt;
    logger.warn({ broker, ...failureLine(attempt) }, 'attempt failed');
    const failed = { ...delivery, firstAttemptAtMs: delivery.firstAttemptAtMs ?? startedAtMs };
    if (fate.kind === 'retry' && hold?.retryInPlace) {
      this.#tally(delivery.trigger).retried();
      hold.retryInPlace({ ...failed, attempt: fate.attempt }, fate.atMs);
      return 'kept';
    }
    await this.#apply(failed, fate, outcome);
  }

  /** One request. */
  #call(delivery: Delivery, url: string, hold?: Hold): Promise<Outcome> {
    const { deliverer } = this.#options;
    const { trigger, target, event } = delivery;
    const hops = hopsOfDelivery(event);
    if (target.kind === 'deadLetterSink') {
      return deliverer.attempt({ ...delivery, event: deadLetterEvent(event, trigger, target.failure) }, url, hops);
    }
    return deliverer.attempt(delivery, url, hops, hold?.retryInPlace && (() => hold.isRevoked));
  }

  #apply(delivery: Delivery, fate: Exclude<Fate, { kind: 'delivered' }>, outcome: Outcome): Promise<void> {
    switch (fate.kind) {
      case 'retry':
        this.#tally(delivery.trigger).retried();
        return this.#appendRetry(delivery, fate, outcome);
      case 'deadLetter':
        return this.#deadLetter(delivery, fate.category, fate.reason, outcome);
    }
  }

  /** A promise only where there is something to append: most deliveries are not answered with an event. */
  #delivered(delivery: Delivery, outcome: Outcome): Promise<void> | undefined {
    if (delivery.target.kind === 'deadLetterSink') {
      return this.#deadLetters.appendFailure(delivery, delivery.target.failure, 'delivered');
    }
    const reply = replyOf(outcome, hopsOfDelivery(delivery.event), this.#options.clock.now());
    if (reply.kind !== 'none')
      return this.#replies.take(delivery, outcome, reply).then(() => this.#countDelivered(delivery));
    this.#countDelivered(delivery);
    return undefined;
  }

  #countDelivered(delivery: Delivery): void {
    const { clock, metrics, broker } = this.#options;
    this.#tally(delivery.trigger).delivered();
    const wantedAtMs = Math.max(delivery.origin.appendedAtMs, deliverAtOf(delivery.event) || 0);
    metrics.broker(broker).latency(Math.max(0, clock.now() - wantedAtMs) / 1_000);
  }

  /** @param outcome of the attempt that failed; null where none was made */
  async #appendRetry(delivery: Delivery, next: Next, outcome: Outcome | null): Promise<void> {
    const { appender, topics } = this.#options;
    try {
      await appender.append(topics().retry(delivery.trigger.name), toRetryRecord(delivery, next), 0);
    } catch (error) {
      if (!(error instanceof RecordTooLargeError)) throw error;
      await this.#giveUp(delivery, 'too_large', `${next.reason}; can't be retried: ${error.message}`, outcome);
    }
  }

  /** Gives the delivery up: to the dead letter sink first, if there is one. */
  async #deadLetter(delivery: Delivery, category: DeadLetterReason, reason: string, outcome: Outcome): Promise<void> {
    const { target, trigger } = delivery;
    const sinkUri = trigger.delivery.deadLetterSinkUri;
    if (target.kind === 'deadLetterSink' || sinkUri === null) {
      return this.#giveUp(delivery, category, reason, outcome);
    }
    this.#tally(trigger).deadLettered(category);
    const failure = failureOf(delivery, reason, outcome, this.#options.clock.now());
    const toSink: Delivery = {
      ...delivery,
      attempt: 1,
      firstAttemptAtMs: null,
      target: { kind: 'deadLetterSink', failure },
    };
    await this.#attempt(toSink, sinkUri);
  }

  /** What no more is done about lies in the dead-letter topic: the failure, and what the sink said to it. */
  #giveUp(delivery: Delivery, category: DeadLetterReason, reason: string, outcome: Outcome | null): Promise<void> {
    const { target, trigger } = delivery;
    if (target.kind === 'deadLetterSink')
      return this.#deadLetters.appendFailure(delivery, target.failure, `failed: ${reason}`);
    this.#tally(trigger).deadLettered(category);
    return this.#deadLetters.appendFailure(
      delivery,
      failureOf(delivery, reason, outcome, this.#options.clock.now()),
      null,
    );
  }

  #tally(trigger: Trigger): TriggerTally {
    return this.#options.metrics.trigger(this.#options.broker, trigger.name);
  }
}

export interface PipelineOptions extends ReplyTargetsOptions, Pick<TriggerLimitsOptions, 'permits'> {
  /** `namespace/name`, for metrics and log lines. */
  readonly broker: string;
  /** The broker's topics; the events topic may be given once, later. */
  readonly topics: () => BrokerTopics;
  readonly deliverer: Deliverer;
  readonly metrics: Metrics;
  /** Deliveries of one trigger that may wait for their turn, in this process. */
  readonly waitingEventsMax: number;
  /** Aborts when what is still in flight is to be cut. */
  readonly signal: AbortSignal;
}

/** What an attempt came to: its fate is durable, or the lane keeps the delivery in its place. */
// biome-ignore lint/suspicious/noConfusingVoidType: a fate that is applied has nothing more to say
type Settling = 'kept' | void;

/** When a delivery is tried next, and why. */
interface Next {
  readonly atMs: number;
  readonly attempt: number;
  readonly reason: string;
}

/** Where a record belongs to no trigger: an empty label is no label for Prometheus. */
const noTrigger = '';
