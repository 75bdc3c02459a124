/** A record of the events topic (it waits for attempt 1) or of a retry topic. */
export interface NumberedAttempt {
  readonly event: number;
  /** The attempt that it waits for. */
  readonly attempt: number;
}

/** By event, the attempts that its records wait for. */
export function attemptsByEvent(records: readonly NumberedAttempt[]): Map<number, number[]> {
  const attempts = new Map<number, number[]>();
  for (const { event, attempt } of records) attempts.set(event, [...(attempts.get(event) ?? []), attempt]);
  return attempts;
}

/** By event, the latest attempt that a record waits for. */
export function latestAttempts(records: readonly NumberedAttempt[]): Map<number, number> {
  const latest = new Map<number, number>();
  for (const { event, attempt } of records) latest.set(event, Math.max(attempt, latest.get(event) ?? 0));
  return latest;
}
