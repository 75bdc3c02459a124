/** Resolves when the promise has settled either way, or the signal aborts. Never rejects. */
export async function settledOrAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  const listener = (): void => resolve();
  signal.addEventListener('abort', listener);
  await Promise.race([promise.catch(() => {}), aborted]);
  signal.removeEventListener('abort', listener);
}
