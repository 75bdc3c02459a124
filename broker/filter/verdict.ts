import type { CloudEvent } from '../../event/event.ts';
import type { Trigger } from '../trigger/trigger.ts';
import { compileDataFilter } from './data/data-filter.ts';
import { EventData } from './data/event-data.ts';
import { compile } from './match.ts';

/** What of a trigger says which events it gets. */
export type Filtering = Pick<Trigger, 'filters' | 'dataFilter'>;

/** As a lane has it: `undecided` is dead-lettered for the trigger. */
export type Verdict = 'passes' | 'fails' | 'undecided';

/**
 * What matching says of one trigger, with its filters taken apart once. Never throws for a trigger that was applied.
 * @returns a function of an event; for several triggers and one event, its data may be given, to be read once
 */
export function compileVerdict({ filters, dataFilter }: Filtering): (event: CloudEvent, data?: EventData) => Verdict {
  const passes = compile(filters);
  if (dataFilter === null) return (event) => (passes(event) ? 'passes' : 'fails');
  const filter = compileDataFilter(dataFilter);
  return (event, data = new EventData(event)) => (passes(event) ? filter.judge(data).kind : 'fails');
}
