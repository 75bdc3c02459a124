import { eventReader, type ReadEvent } from '../../broker/records.ts';
import { eventJudge, type JudgeEvent } from '../../broker/schema/rules.ts';
import type { Broker, Trigger } from '../../broker/trigger/trigger.ts';
import { deliverAtOf } from '../../event/deliver-at.ts';
import type { CloudEvent } from '../../event/event.ts';
import { messageOf } from '../../runtime/errors.ts';
import type { Delivery, Origin } from '../fate.ts';
import { traceOf } from '../record-headers.ts';
import { type LaneOptions, originOf } from './lane.ts';
import { SchemaWait } from './schema-wait.ts';
import type { TakenRecord } from './taken-record.ts';

/** A record of the events topic that is an event. */
export interface DecodedRecord {
  readonly taken: TakenRecord;
  readonly event: CloudEvent;
  readonly origin: Origin;
}

type IntakeOptions = Pick<LaneOptions, 'registry' | 'pipeline' | 'clock' | 'metrics' | 'schemas' | 'logger'>;

/**
 * Holds what a lane takes from the events topics until the registry is fresh, so that no event is matched while a
 * trigger may have been applied that is not known here, and decodes it as the Broker says then. Where the Broker wants
 * that, each event is held to its schema; one whose schema is not to be had holds what comes after it, too.
 */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #onEvents: (events: readonly DecodedRecord[]) => void;
  readonly #mayMatch: () => boolean;
  #waiting: TakenRecord[] = [];
  /** The Broker that the reader and the judge are made for; undefined: there is no reader yet. */
  #broker: Broker | null | undefined;
  #read: ReadEvent | undefined;
  #judge: JudgeEvent | null = null;
  #isWaitingForRegistry = false;
  readonly #schemaWait: SchemaWait;
  readonly #closing = new AbortController();

  /**
   * @param onEvents takes events in the order of the log, while the registry is fresh
   * @param mayMatch what else there must be, asked anew when the registry changes
   */
  constructor(
    options: IntakeOptions,
    onEvents: (events: readonly DecodedRecord[]) => void,
    mayMatch: () => boolean = () => true,
  ) {
    this.#options = options;
    this.#onEvents = onEvents;
    this.#mayMatch = mayMatch;
    this.#schemaWait = new SchemaWait(options, () => this.#handOn());
  }

  receive(taken: TakenRecord): void {
    const isHeld = !this.#options.registry.isFresh() || !this.#mayMatch();
    if (this.#waiting.length > 0 || isHeld || this.#closing.signal.aborted) {
      this.#waiting.push(taken);
      this.#handOn();
      return;
    }
    const decoded = this.#decode(taken);
    if (decoded === 'waits') this.#waiting.push(taken);
    else if (decoded !== null) this.#onEvents([decoded]);
  }

  /** Lets go of what is another's by now. */
  dropRevoked(): void {
    this.#drop((taken) => taken.isRevoked);
  }

  /** Lets go of everything, and hands on nothing any more. */
  close(): void {
    this.#closing.abort();
    this.#schemaWait.close();
    this.#drop(() => true);
  }

  /** Another producer's record: what the ingress would have refused is better early than never. */
  #timeIgnored(): void {
    const { metrics, registry } = this.#options;
    metrics.broker(`${registry.name.namespace}/${registry.name.name}`).timeIgnored();
  }

  #drop(isDropped: (taken: TakenRecord) => boolean): void {
    const before = this.#waiting;
    this.#waiting = [];
    for (const taken of before) {
      if (isDropped(taken)) taken.drop();
      else this.#waiting.push(taken);
    }
  }

  #handOn(): void {
    const { registry } = this.#options;
    if (this.#waiting.length === 0 || this.#closing.signal.aborted || this.#schemaWait.isWaiting) return;
    if (!registry.isFresh() || !this.#mayMatch()) {
      this.#handOnLater();
      return;
    }
    const taken = this.#waiting;
    this.#waiting = [];
    const events: DecodedRecord[] = [];
    for (const [index, one] of taken.entries()) {
      const decoded = this.#decode(one);
      if (decoded === 'waits') {
        this.#waiting = taken.slice(index);
        break;
      }
      if (decoded !== null) events.push(decoded);
    }
    if (events.length > 0) this.#onEvents(events);
  }

  /** Null for a record that goes raw to the dead letters: it is no event, or violates its schema. */
  #decode(taken: TakenRecord): DecodedRecord | 'waits' | null {
    const { record } = taken;
    const { pipeline } = this.#options;
    const origin = originOf(taken, this.#options.clock);
    let event: CloudEvent;
    try {
      event = this.#reader()(record, taken);
    } catch (error) {
      pipeline.unreadable(record, origin, messageOf(error), taken, 'unreadable');
      return null;
    }
    if (this.#judge !== null) {
      const verdict = this.#schemaWait.verdictOf(taken, this.#judge, event);
      if (verdict === null) return 'waits';
      if (verdict.kind === 'refused') {
        pipeline.unreadable(record, origin, verdict.reason, taken, 'schema');
        return null;
      }
    }
    if (Number.isNaN(deliverAtOf(event))) this.#timeIgnored();
    return { taken, event, origin };
  }

  #reader(): ReadEvent {
    const { registry, schemas } = this.#options;
    const { broker } = registry.snapshot();
    if (this.#read === undefined || broker !== this.#broker) {
      const rules = broker?.schemaRules ?? null;
      this.#read = eventReader(registry.name, broker);
      this.#judge = rules?.onTopic ? eventJudge(schemas, rules) : null;
    }
    this.#broker = broker;
    return this.#read;
  }

  #handOnLater(): void {
    if (this.#isWaitingForRegistry) return;
    this.#isWaitingForRegistry = true;
    const again = (): void => {
      this.#isWaitingForRegistry = false;
      this.#handOn();
    };
    const { registry } = this.#options;
    const { signal } = this.#closing;
    if (registry.isFresh()) {
      const unsubscribe = registry.onChange(() => {
        unsubscribe();
        again();
      });
      signal.addEventListener('abort', unsubscribe, { once: true });
      return;
    }
    // It rejects only when this lane or the registry closes.
    registry.whenFresh(signal).then(again, () => {});
  }
}

/** The delivery of the event to the trigger, before any attempt. */
export function firstDelivery({ event, origin, taken }: DecodedRecord, trigger: Trigger): Delivery {
  return {
    trigger,
    event,
    attempt: 1,
    trace: traceOf(taken.record.headers),
    origin,
    firstAttemptAtMs: null,
    target: { kind: 'subscriber' },
  };
}
