import { offsetIn, type StartOffsets, type TopicOffsets, type TopicPartition } from '../log/log.ts';
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
 * Where the trigger's own group starts if it has no commit; null for a trigger that never had one. A commit from
 * before the trigger's first time with a group of its own is of a deleted trigger of the same name. Pure.
 */
export function ownStart(spans: readonly LaneSpan[]): StartOffsets | null {
  const own = spans.filter(({ group }) => group === 'own');
  const [first, last] = [own[0], own.at(-1)];
  return first && last ? { offsets: last.from, floors: first.from } : null;
}
