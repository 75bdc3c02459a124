import type { Logger } from 'pino';
import type { Registry } from '../../broker/trigger/registry.ts';
import type { Trigger } from '../../broker/trigger/trigger.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { TriggerTally } from '../../runtime/tallies.ts';
import { classOf, decide, type Health, healthOf, retryAfterMs } from '../decide.ts';
import type { Deliverer } from '../deliver.ts';
import { type Delivery, type FailedAttempt, type Outcome, RevokedError } from '../fate.ts';
import type { TriggerLimits } from '../limit/trigger-limits.ts';
import type { Turn } from '../limit/turn.ts';
import type { Waiting } from '../limit/waiting-queue.ts';
import type { RepeatBound, RepeatBounds } from '../repeat-bound.ts';
import type { Replies } from '../replies.ts';
import { hopsOfDelivery, replyOf } from '../reply.ts';
import { bodyOf } from './body.ts';
import { type BatchOutcome, readResults } from './results.ts';

/** What the pipeline does with a delivery of a batch, as with any other. */
export interface BatchSteps {
  /** Whether what has waited for a commit may still be attempted in this turn. */
  isInTurn(delivery: Delivery, turn: Turn): boolean;
  /** Puts one in anew whose turn has passed; lets go of it at shutdown. */
  again(waiting: Waiting): void;
  delivered(delivery: Delivery): void;
  /** Resolves once its fate is durable, to 'kept' where its lane keeps it. */
  failed(attempt: FailedAttempt, waiting: Waiting): Promise<unknown>;
  unsettled(waiting: Waiting, error: unknown): void;
}

export interface BatchesOptions {
  /** `namespace/name`, for log lines. */
  readonly broker: string;
  readonly registry: Registry;
  readonly deliverer: Deliverer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: TriggerLimits;
  readonly bounds: RepeatBounds;
  readonly replies: Replies;
  readonly tallyOf: (trigger: Trigger) => TriggerTally;
  readonly steps: BatchSteps;
}

/**
 * Delivers several events in one request, after which each has a fate of its own.
 *
 *   turn ── one request ── results ─┬─ event: decide ── settled
 *                                   ├─ event: decide ── settled
 *                                   └─ 413: all again, in smaller batches
 */
export class Batches {
  readonly #options: BatchesOptions;

  constructor(options: BatchesOptions) {
    this.#options = options;
  }

  /** The turn of these deliveries of one trigger has come. Resolves once each is settled or let go; never rejects. */
  async take(batch: Members, turn: Turn): Promise<void> {
    const { registry, bounds, steps } = this.#options;
    const { trigger: known } = batch[0].delivery;
    const bound = bounds.of(known, 'subscriber');
    const mayBegin = bound.begin(batch.length);
    if (mayBegin !== undefined) await mayBegin;
    const trigger = registry.snapshot().triggers.get(known.uid);
    // While it waited for a commit its turn may have passed, or a revision come that wants no batches.
    const isInTurn = mayBegin === undefined || steps.isInTurn(batch[0].delivery, turn);
    if (!trigger?.batch || !isInTurn) this.#again(batch, bound);
    else {
      const [first, ...others] = batch.filter((one) => this.#isOurs(one, bound)).map((one) => underOf(trigger, one));
      if (first) await this.#attempt({ trigger, members: [first, ...others], bound, turn });
    }
    turn.ended('unknown');
  }

  /** Lets go of what is another's by now. */
  #isOurs({ hold }: Waiting, bound: RepeatBound): boolean {
    if (!hold.isRevoked) return true;
    hold.drop();
    bound.end();
    return false;
  }

  async #attempt(request: Request): Promise<void> {
    const { clock, deliverer, tallyOf } = this.#options;
    const { trigger, members, turn } = request;
    const tally = tallyOf(trigger);
    const body = bodyOf(members);
    const startedAtMs = clock.now();
    const startedAt = clock.monotonic();
    // What is in order must not go on here once another process has some of it: the request is cut.
    const isCut = () => members.some(({ hold }) => hold.isRevoked);
    let outcome: Outcome;
    tally.started();
    try {
      const batch = { deliveries: deliveriesOf(members), body };
      outcome = await deliverer.attemptBatch(
        batch,
        trigger.subscriberUri,
        trigger.lane === 'ordered' ? isCut : undefined,
      );
    } catch (error) {
      tally.aborted();
      this.#aborted(request, error);
      return;
    }
    tally.ended(classOf(outcome), (clock.monotonic() - startedAt) / 1_000);
    tally.batched(members.length);
    if (isTooLarge(outcome) && members.length > 1) {
      turn.ended('well');
      this.#divide(request, body.length);
      return;
    }
    try {
      await this.#refuseReply(members[0].delivery, outcome);
    } catch (error) {
      this.#aborted(request, error);
      return;
    }
    await this.#conclude(request, outcome, startedAtMs);
  }

  /** Nobody asks for a reply to a batch, as it could not be told to which event. One that comes is not lost. */
  async #refuseReply(delivery: Delivery, outcome: Outcome): Promise<void> {
    const reply = replyOf(outcome, hopsOfDelivery(delivery.event), this.#options.clock.now());
    if (reply.kind === 'none') return;
    const { event } = reply;
    await this.#options.replies.refuse(
      delivery,
      outcome,
      'the answer to a batch carries no reply',
      'invalid_reply',
      event,
    );
  }

  /** Counts for nothing. What is still ours is tried again. */
  #aborted({ members, bound }: Request, error: unknown): void {
    for (const one of members) {
      const { hold, delivery } = one;
      if (!(error instanceof RevokedError) || hold.isRevoked) this.#options.steps.unsettled(one, error);
      else if (hold.retryInPlace) hold.retryInPlace(delivery, this.#options.clock.now());
      else this.#options.steps.again(one);
      bound.end();
    }
  }

  /** The same again in smaller batches: what is too large is more often the batch than an event. */
  #divide({ trigger, members, bound }: Request, bytes: number): void {
    const { limits, broker, logger } = this.#options;
    logger.warn(
      { broker, trigger: trigger.name, events: members.length, bytes },
      'a batch was answered 413: its events go again in smaller ones, and those that follow are smaller too',
    );
    limits.of(trigger).tooLarge(bytes);
    this.#again(members, bound);
  }

  #again(members: readonly Waiting[], bound: RepeatBound): void {
    for (const one of members) {
      this.#options.steps.again(one);
      bound.end();
    }
  }

  /** Resolves once the fate of each event is durable. */
  async #conclude(request: Request, outcome: Outcome, startedAtMs: number): Promise<void> {
    const { trigger, members, bound, turn } = request;
    const results = readResults(
      outcome,
      members.map(({ delivery }) => delivery.event),
    );
    this.#tellStrangers(trigger, results);
    const endedAtMs = this.#options.clock.now();
    // An entry's 410 speaks of its event alone, as any 4xx does.
    const onGone = results.isByEvent ? 'dead-letter' : trigger.onGone;
    // The same for all, so that what failed together is due together.
    const random = Math.random();
    const settling = members.map((waiting, index): Promise<void> | undefined => {
      const { delivery } = waiting;
      const own = results.outcomes[index] ?? outcome;
      const fate = decide(own, delivery.attempt, trigger.delivery, endedAtMs, random, onGone);
      if (fate.kind !== 'delivered') {
        const attempt = { delivery, url: trigger.subscriberUri, outcome: own, fate, startedAtMs, endedAtMs };
        return this.#failed({ ...attempt, batchEvents: members.length }, waiting, bound);
      }
      this.#options.steps.delivered(delivery);
      waiting.hold.settle(bound);
      bound.end();
      return undefined;
    });
    turn.ended(
      healthOfAll(results, trigger),
      retryAfterMs(results.outcomes[0] ?? outcome, trigger.delivery, endedAtMs),
    );
    await Promise.all(settling);
  }

  async #failed(attempt: FailedAttempt, waiting: Waiting, bound: RepeatBound): Promise<void> {
    const { steps } = this.#options;
    try {
      if ((await steps.failed(attempt, waiting)) !== 'kept') waiting.hold.settle(bound);
    } catch (error) {
      steps.unsettled(waiting, error);
    }
    bound.end();
  }

  #tellStrangers({ name }: Trigger, { strangers }: BatchOutcome): void {
    const { broker, logger } = this.#options;
    for (const { source, id, status } of strangers) {
      logger.debug(
        { broker, trigger: name, source, event: id, status },
        'an answer names an event that its batch has not',
      );
    }
  }
}

type Members = readonly [Waiting, ...Waiting[]];

interface Request {
  /** The revision in force, which wants batches. */
  readonly trigger: Trigger;
  readonly members: Members;
  readonly bound: RepeatBound;
  readonly turn: Turn;
}

/** The delivery under the revision of its trigger that is in force now. */
function underOf(trigger: Trigger, waiting: Waiting): Waiting {
  const { delivery } = waiting;
  return delivery.trigger === trigger ? waiting : { ...waiting, delivery: { ...delivery, trigger } };
}

function deliveriesOf([first, ...others]: Members): readonly [Delivery, ...Delivery[]] {
  return [first.delivery, ...others.map(({ delivery }) => delivery)];
}

function isTooLarge(outcome: Outcome): boolean {
  return outcome.kind === 'answered' && outcome.status === 413;
}

/** Of a subscriber that answers for each event: failing where all of them failed so, which says no more of any one. */
function healthOfAll({ outcomes, isByEvent }: BatchOutcome, { onGone }: Trigger): Health {
  const [first] = outcomes;
  if (!first) return 'unknown';
  if (!isByEvent) return healthOf(first, onGone);
  return outcomes.every((one) => healthOf(one, 'dead-letter') === 'failing') ? 'failing' : 'well';
}
