import type { Trigger } from '../../broker/trigger/trigger.ts';
import { deliverAtOf } from '../../event/deliver-at.ts';
import type { CloudEvent } from '../../event/event.ts';
import { fromRecord } from '../../event/kafka.ts';
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
 * Decodes what a lane takes from the events topic, and holds it until the registry is fresh, so that no event is
 * matched while a trigger may have been applied that is not known here.
 */
export class Intake {
  readonly #options: Pick<LaneOptions, 'registry' | 'pipeline' | 'clock' | 'metrics'>;
  readonly #onEvents: (events: readonly DecodedRecord[]) => void;
  #waiting: DecodedRecord[] = [];
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

  /** A record that is no event goes raw to the dead letters. */
  receive(taken: TakenRecord): void {
    const { record } = taken;
    const origin = originOf(taken, this.#options.clock);
    let event: CloudEvent;
    try {
      event = fromRecord(record);
    } catch (error) {
      this.#options.pipeline.unreadable(record, origin, messageOf(error), taken);
      return;
    }
    if (Number.isNaN(deliverAtOf(event))) this.#timeIgnored();
    this.#waiting.push({ taken, event, origin });
    this.#handOn();
  }

  /** Lets go of what is another's by now. */
  dropRevoked(): void {
    this.#drop(({ taken }) => taken.isRevoked);
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

  #drop(isDropped: (decoded: DecodedRecord) => boolean): void {
    const before = this.#waiting;
    this.#waiting = [];
    for (const decoded of before) {
      if (isDropped(decoded)) decoded.taken.drop();
      else this.#waiting.push(decoded);
    }
  }

  #handOn(): void {
    const { registry } = this.#options;
    if (this.#waiting.length === 0 || this.#closing.signal.aborted) return;
    if (!registry.isFresh()) {
      this.#handOnWhenFresh();
      return;
    }
    const events = this.#waiting;
    this.#waiting = [];
    this.#onEvents(events);
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
