import type { CloudEvent } from '../../../event/event.ts';
import type { Trigger } from '../../trigger/trigger.ts';
import { compileDataFilter, type DataFilter } from './data-filter.ts';
import { EventData } from './event-data.ts';

export interface Sifted {
  /** Those that get the event. */
  readonly passed: readonly Trigger[];
  /** Those whose data filter has no answer for the event, and why. */
  readonly undecided: readonly Undecided[];
}

export interface Undecided {
  readonly trigger: Trigger;
  readonly reason: string;
}

const none: readonly Undecided[] = [];

/**
 * Asks the data filters of triggers whose other filters an event passes. The data is read once for all of them, and
 * only if one asks for it. Never throws for triggers that were applied.
 */
export function sift(triggers: readonly Trigger[], event: CloudEvent): Sifted {
  if (triggers.every(({ dataFilter }) => dataFilter === null)) return { passed: triggers, undecided: none };
  const data = new EventData(event);
  const passed: Trigger[] = [];
  const undecided: Undecided[] = [];
  for (const trigger of triggers) {
    const verdict = dataFilterOf(trigger)?.judge(data) ?? { kind: 'passes' };
    if (verdict.kind === 'passes') passed.push(trigger);
    else if (verdict.kind === 'undecided') undecided.push({ trigger, reason: verdict.reason });
  }
  return { passed, undecided };
}

/** By the revisions of triggers that are in use. */
const compiled = new WeakMap<Trigger, DataFilter>();

/** Undefined where the trigger has none. */
function dataFilterOf(trigger: Trigger): DataFilter | undefined {
  if (trigger.dataFilter === null) return undefined;
  const known = compiled.get(trigger);
  if (known !== undefined) return known;
  const filter = compileDataFilter(trigger.dataFilter);
  compiled.set(trigger, filter);
  return filter;
}
