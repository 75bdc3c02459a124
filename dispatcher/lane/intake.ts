import { eventReader, type ReadEvent } from '../../broker/records.ts';
import type { Broker, Trigger } from '../../broker/trigger/trigger.ts';
import { deliverAtOf } from '../../event/deliver-at.ts';
import type { CloudEvent } from '../../event/event.ts';
import { messageOf } from '../../runtime/errors.ts';
import type { Delivery, Origin } from '../fate.ts';
import { traceOf } from '../record-headers.ts';
import { type LaneOptions, originOf } from './lane.ts';
import type { TakenRecord } from './reader.ts';

/** A record of the events topic that is an event. */
export interface DecodedRecord {
  readonly taken: TakenRecord;
  readonly event: CloudEvent;
  readonly origin: Origin;
}

/**
 * Holds what a lane takes from the events topics until the registry is fresh, so that no event is matched while a
 * trigger may have been applied that is not known here, and decodes it as the Broker says then.
 */
export class Intake {
  readonly #options: Pick<LaneOptions, 'registry' | 'pipeline' | 'clock' | 'metrics'>;
  readonly #onEvents: (events: readonly DecodedRecord[]) => void;
  #waiting: TakenRecord[] = [];
  /** The Broker that the reader is made for; undefined: there is no reader yet. */
  #broker: Broker | null | undefined;
  #read: ReadEvent | undefined;
  #isAwaitingFresh = false;
  readonly #closing = new AbortController();

  /** @param onEvents takes events in the order of the log, while the registry is fresh */
  constructor(
    options: Pick<LaneOptions, 'registry' | 'pipeline' | 'clock' | 'metrics'>,
    onEvents: (events: readonly DecodedRecord[]) => void,
  ) {
    this.#options = options;
    this.#onEvents = onEvents;
  }

  receive(taken: TakenRecord): void {
    if (this.#waiting.length > 0 || !this.#options.registry.isFresh() || this.#closing.signal.aborted) {
      this.#waiting.push(taken);
      this.#handOn();
      return;
    }
    const decoded = this.#decode(taken);
    if (decoded !== null) this.#onEvents([decoded]);
  }

  /** Lets go of what is another's by now. */
  dropRevoked(): void {
    this.#drop((taken) => taken.isRevoked);
  }

  /** Lets go of everything, and hands on nothing any more. */
  close(): void {
    this.#closing.abort();
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
    if (this.#waiting.length === 0 || this.#closing.signal.aborted) return;
    if (!registry.isFresh()) {
      this.#handOnWhenFresh();
      return;
    }
    const taken = this.#waiting;
    this.#waiting = [];
    const events = taken.map((one) => this.#decode(one)).filter((one) => one !== null);
    if (events.length > 0) this.#onEvents(events);
  }

  /** Null for a record that is no event, which goes raw to the dead letters. */
  #decode(taken: TakenRecord): DecodedRecord | null {
    const { record } = taken;
    const origin = originOf(taken, this.#options.clock);
    let event: CloudEvent;
    try {
      event = this.#reader()(record, taken);
    } catch (error) {
      this.#options.pipeline.unreadable(record, origin, messageOf(error), taken);
      return null;
    }
    if (Number.isNaN(deliverAtOf(event))) this.#timeIgnored();
    return { taken, event, origin };
  }

  #reader(): ReadEvent {
    const { registry } = this.#options;
    const { broker } = registry.snapshot();
    if (this.#read === undefined || broker !== this.#broker) this.#read = eventReader(registry.name, broker);
    this.#broker = broker;
    return this.#read;
  }

  #handOnWhenFresh(): void {
    if (this.#isAwaitingFresh) return;
    this.#isAwaitingFresh = true;
    const again = (): void => {
      this.#isAwaitingFresh = false;
      this.#handOn();
    };
    // It rejects only when this lane or the registry closes.
    this.#options.registry.whenFresh(this.#closing.signal).then(again, () => {});
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
