import type { Logger } from 'pino';
import type { DecodedHttp } from '../../event/http.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { JudgeEvent } from '../schema/rules.ts';
import { Refusal, unavailable } from './problem.ts';

/**
 * Resolves once all events of a request are such as their schemas want them; of a batch all or none are taken.
 * @returns how many name a schema that nobody has
 * @throws Refusal: 422 with the pointers where one is not, 503 where a schema is not to be had just now
 */
export async function holdToSchemas({ mode, events }: DecodedHttp, judge: JudgeEvent): Promise<number> {
  let unknown = 0;
  for (const [number, event] of events.entries()) {
    const judged = judge(event);
    const verdict = judged instanceof Promise ? await judged : judged;
    const [index, who] = mode === 'batch' ? [number, `batch member ${number}: `] : [null, ''];
    switch (verdict.kind) {
      case 'accepted':
        if (verdict.isUnknown) unknown++;
        break;
      case 'unavailable':
        throw unavailable('schema_unavailable', who + verdict.reason);
      case 'refused': {
        const { reason, schema, violations } = verdict;
        const attribute = violations.length > 0 ? 'data' : 'dataschema';
        throw new Refusal(422, 'schema', who + reason, { attribute, index, schema, violations });
      }
    }
  }
  return unknown;
}

/** A broker whose schemas are not to be had is told of this often: other events of it may be accepted all the time. */
const lineEveryMs = 60_000;

/** The log lines of brokers whose events can't be judged. */
export class SchemaLines {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #silentUntilMs = new Map<string, number>();

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  unavailable(broker: string, detail: string): void {
    const nowMs = this.#clock.monotonic();
    if (nowMs < (this.#silentUntilMs.get(broker) ?? 0)) return;
    this.#silentUntilMs.set(broker, nowMs + lineEveryMs);
    const line = 'ingress: events are refused with 503, as their schema is not to be had';
    this.#logger.warn({ broker, reason: 'schema_unavailable', detail }, line);
  }
}
