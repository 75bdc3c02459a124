import type { JudgeEvent, Verdict } from '../../broker/schema/rules.ts';
import type { CloudEvent } from '../../event/event.ts';
import { sleep } from '../../runtime/clock.ts';
import type { LaneOptions } from './lane.ts';
import type { TakenRecord } from './taken-record.ts';

/** While a schema is not to be had it is asked for this often; a registry is asked less often. */
const lookAgainMs = 1_000;

type Known = Exclude<Verdict, { kind: 'unavailable' }>;

/**
 * Waits for the schema of one event of a topic: as long as the schema is not to be had nobody can tell whether the
 * event is to be delivered or dead-lettered.
 */
export class SchemaWait {
  readonly #options: Pick<LaneOptions, 'registry' | 'clock' | 'logger' | 'metrics'>;
  readonly #onVerdict: () => void;
  readonly #closing = new AbortController();
  #isWaiting = false;
  /** What the wait has led to, until it is asked for. */
  #verdict: { readonly of: TakenRecord; readonly verdict: Known } | null = null;
  #isTold = false;

  /** @param onVerdict called when `verdictOf` is to be asked again */
  constructor(options: Pick<LaneOptions, 'registry' | 'clock' | 'logger' | 'metrics'>, onVerdict: () => void) {
    this.#options = options;
    this.#onVerdict = onVerdict;
  }

  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  close(): void {
    this.#closing.abort();
    this.#goesOn();
  }

  /** Null: the wait begins. */
  verdictOf(taken: TakenRecord, judge: JudgeEvent, event: CloudEvent): Known | null {
    const before = this.#verdict;
    this.#verdict = null;
    if (before?.of === taken) return before.verdict;
    const judged = judge(event);
    if (!(judged instanceof Promise) && judged.kind !== 'unavailable') {
      this.#goesOn();
      return judged;
    }
    this.#isWaiting = true;
    void this.#wait(taken, judged);
    return null;
  }

  async #wait(taken: TakenRecord, judged: Verdict | Promise<Verdict>): Promise<void> {
    const { clock } = this.#options;
    const verdict = judged instanceof Promise ? await judged : judged;
    if (verdict.kind === 'unavailable') {
      this.#tell(taken, verdict.reason);
      // Then it is judged anew: the Broker may have changed, too.
      await sleep(clock, lookAgainMs, this.#closing.signal);
    } else {
      this.#verdict = { of: taken, verdict };
      this.#goesOn();
    }
    this.#isWaiting = false;
    if (!this.#closing.signal.aborted) this.#onVerdict();
  }

  #tell({ topic, partition, record }: TakenRecord, reason: string): void {
    if (this.#isTold || this.#closing.signal.aborted) return;
    this.#isTold = true;
    const { logger } = this.#options;
    this.#tally().laneWaitsForSchema(1);
    const line =
      'the topic waits: the schema of an event is not to be had, and whether it is to be delivered not known';
    logger.warn({ broker: this.#broker(), topic, partition, offset: record.offset, reason }, line);
  }

  #goesOn(): void {
    if (!this.#isTold) return;
    this.#isTold = false;
    this.#tally().laneWaitsForSchema(-1);
    if (!this.#closing.signal.aborted) {
      this.#options.logger.info({ broker: this.#broker() }, 'the topic is read on: the schema is there');
    }
  }

  #tally() {
    return this.#options.metrics.broker(this.#broker());
  }

  #broker(): string {
    const { name } = this.#options.registry;
    return `${name.namespace}/${name.name}`;
  }
}
