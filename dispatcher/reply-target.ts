import type { Logger } from 'pino';
import { RecordTooLargeError } from '../broker/log/errors.ts';
import type { NewRecord } from '../broker/log/log.ts';
import { toBrokerRecord } from '../broker/records.ts';
import { eventJudge } from '../broker/schema/rules.ts';
import type { Schemas } from '../broker/schema/schemas.ts';
import type { Registry } from '../broker/trigger/registry.ts';
import type { BrokerName } from '../broker/trigger/trigger.ts';
import { EventError } from '../event/errors.ts';
import type { CloudEvent } from '../event/event.ts';
import { type Clock, sleep } from '../runtime/clock.ts';
import { messageOf } from '../runtime/errors.ts';
import type { DurableAppender } from './append.ts';
import type { Delivery } from './fate.ts';
import { traceHeadersOf } from './trace.ts';

export interface ReplyTargetsOptions {
  /** Of the triggers' own broker. */
  readonly registry: Registry;
  /** Undefined: this process does not know the broker, or not yet. */
  readonly registryOf: (broker: BrokerName) => Registry | undefined;
  /** Null: this process has none. */
  readonly schemas: Pick<Schemas, 'find'> | null;
  readonly appender: DurableAppender;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the waiting for a broker. */
  readonly signal: AbortSignal;
}

/** Where the replies of triggers go: to their broker, or where `posthorn.dev/reply-to` says. */
export class ReplyTargets {
  readonly #options: ReplyTargetsOptions;

  constructor(options: ReplyTargetsOptions) {
    this.#options = options;
  }

  /**
   * Resolves once the reply is durable, or with the reason why its broker can't take it.
   * @throws the reason of the signal when that aborts
   */
  async append(delivery: Delivery, event: CloudEvent): Promise<string | null> {
    try {
      const { topic, record } = await this.#recordOf(delivery, event);
      await this.#options.appender.append(topic, record);
      return null;
    } catch (error) {
      if (error instanceof RecordTooLargeError) return `reply too large: ${error.message}`;
      if (error instanceof EventError) return `malformed reply: ${messageOf(error)}`;
      throw error;
    }
  }

  /** @throws EventError where it can't have the form that the broker wants */
  async #recordOf(delivery: Delivery, event: CloudEvent): Promise<{ topic: string; record: NewRecord }> {
    const { replyTo } = delivery.trigger;
    const registry = replyTo === null ? this.#options.registry : await this.#known(replyTo);
    await this.#holdToSchemas(registry, event);
    const record = toBrokerRecord(event, registry.snapshot().broker);
    return {
      topic: registry.topics().events,
      record: { ...record, headers: { ...record.headers, ...traceHeadersOf(delivery) } },
    };
  }

  /** A reply is held to the schemas that a posted event is; while they are not to be had it waits. @throws EventError */
  async #holdToSchemas(registry: Registry, event: CloudEvent): Promise<void> {
    const { schemas, clock, logger, signal } = this.#options;
    for (let isTold = false; ; isTold = true) {
      const verdict = await eventJudge(schemas, registry.snapshot().broker?.schemaRules ?? null)?.(event);
      if (verdict === undefined || verdict.kind === 'accepted') return;
      if (verdict.kind === 'refused') throw new EventError(verdict.reason);
      const { reason } = verdict;
      const broker = `${registry.name.namespace}/${registry.name.name}`;
      if (!isTold) logger.warn({ broker, reason }, 'the schema of a reply is not to be had; the reply waits');
      await sleep(clock, lookAgainMs, signal);
      signal.throwIfAborted();
    }
  }

  /** No trigger is applied before its broker is there, but another process may find that some seconds later. */
  async #known(name: BrokerName): Promise<Registry> {
    const { registryOf, clock, logger, signal } = this.#options;
    for (let isTold = false; ; isTold = true) {
      const registry = registryOf(name);
      if (registry) return registry;
      const broker = `${name.namespace}/${name.name}`;
      if (!isTold) logger.warn({ broker }, 'the broker that gets a reply is not known here yet; the reply waits');
      await sleep(clock, lookAgainMs, signal);
      signal.throwIfAborted();
    }
  }
}

const lookAgainMs = 1_000;
