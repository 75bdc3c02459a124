import type { Logger } from 'pino';
import type { Trigger } from '../broker/trigger/trigger.ts';
import type { CloudEvent } from '../event/event.ts';
import type { Clock } from '../runtime/clock.ts';
import type { DeadLetterReason, TriggerTally } from '../runtime/tallies.ts';
import { failureOf, toDeadLetterReference, toRawReplyRecord } from './dead-letter.ts';
import type { DeadLetterTopic } from './dead-letter-topic.ts';
import { headerOf } from './decide.ts';
import type { Delivery, Outcome } from './fate.ts';
import type { Reply } from './reply.ts';
import { ReplyTargets, type ReplyTargetsOptions } from './reply-target.ts';

export interface RepliesOptions extends ReplyTargetsOptions {
  /** `namespace/name`, for log lines. */
  readonly broker: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly deadLetters: DeadLetterTopic;
  readonly tallyOf: (trigger: Trigger) => TriggerTally;
}

/** What becomes of the events that subscribers answer with: they are appended, or dead-lettered themselves. */
export class Replies {
  readonly #options: RepliesOptions;
  readonly #targets: ReplyTargets;

  constructor(options: RepliesOptions) {
    this.#options = options;
    this.#targets = new ReplyTargets(options);
  }

  /** Resolves once it is durable. @param outcome of the delivery, which the reply came with */
  async take(delivery: Delivery, outcome: Outcome, reply: Exclude<Reply, { kind: 'none' }>): Promise<void> {
    switch (reply.kind) {
      case 'event': {
        const refusal = await this.#targets.append(delivery, reply.event);
        if (refusal === null) this.#options.tallyOf(delivery.trigger).replied('appended');
        else await this.refuse(delivery, outcome, refusal, 'invalid_reply', reply.event);
        return;
      }
      case 'refused':
        await this.refuse(delivery, outcome, reply.reason, reply.category, reply.event);
    }
  }

  /** The reply can't be accepted: it is dead-lettered itself, and the delivery stands. */
  async refuse(
    delivery: Delivery,
    outcome: Outcome,
    reason: string,
    category: DeadLetterReason,
    event: CloudEvent | null,
  ): Promise<void> {
    const { broker, clock, logger, deadLetters, tallyOf } = this.#options;
    const tally = tallyOf(delivery.trigger);
    tally.replied('dead_lettered');
    tally.deadLettered(category);
    logger.warn(
      { broker, trigger: delivery.trigger.name, event: delivery.event.attributes.id, reason },
      'reply refused',
    );
    const failure = failureOf(delivery, reason, outcome, clock.now());
    if (event !== null) return deadLetters.appendFailure({ ...delivery, event }, failure, null);
    if (outcome.kind !== 'answered') return;
    const record = toRawReplyRecord(delivery, failure, outcome.body, headerOf(outcome.headers, 'content-type'));
    await deadLetters.append(record, toDeadLetterReference(delivery, failure, null));
  }
}
