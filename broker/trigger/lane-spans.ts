import { offsetIn, type TopicOffsets, type TopicPartition } from '../log/log.ts';
import type { LaneSpan, Trigger } from './trigger.ts';

/** Which group reads the events topic for a trigger of this lane. */
export function groupOf(lane: Trigger['lane']): LaneSpan['group'] {
  return lane === 'shared' ? 'shared' : 'own';
}

/**
 * The spans after a revision. Pure.
 * @param before those of the revision before; null where there was none
 * @param from where the group takes over; absent where the writer saw no change of group
 */
export function spansAfter(
  before: readonly LaneSpan[] | null,
  lane: Trigger['lane'],
  from: TopicOffsets | undefined,
): readonly LaneSpan[] {
  const group = groupOf(lane);
  if (before === null) return group === 'shared' ? [] : [{ group, from: from ?? [] }];
  const last = before.at(-1);
  if (group === (last?.group ?? 'shared')) return before;
  // Two writers at once: the earlier one's offsets are below the ones that would be right, so no event is left out.
  const next = { group, from: from ?? last?.from ?? [] };
  return last === undefined ? [{ group: 'shared', from: [] }, next] : [...before, next];
}

/** Which group reads this record of an events topic for the trigger; null: it is older than the trigger. Pure. */
export function groupAt(spans: readonly LaneSpan[], at: TopicPartition, offset: number): LaneSpan['group'] | null {
  if (spans.length === 0) return 'shared';
  return spans.findLast(({ from }) => offset >= offsetIn(from, at))?.group ?? null;
}

/**
 * From where on the trigger's own group may have something to deliver; null where it has not. That it has never
 * committed says nothing: it may not have come to begin. Pure.
 */
export function ownStart(spans: readonly LaneSpan[]): TopicOffsets | null {
  return spans.find(({ group, isServed }) => group === 'own' && !isServed)?.from ?? null;
}

/** The spans once the own group has delivered what it had to of the first `count`; the same if that is known. Pure. */
export function withServed(spans: readonly LaneSpan[], count: number): readonly LaneSpan[] {
  const isNews = ({ group, isServed }: LaneSpan, i: number): boolean => i < count && group === 'own' && !isServed;
  return spans.some(isNews) ? spans.map((span, i) => (isNews(span, i) ? { ...span, isServed: true } : span)) : spans;
}
