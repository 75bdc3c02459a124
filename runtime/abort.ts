/** Resolves when the promise has settled either way, or the signal aborts. Never rejects. */
export async function settledOrAborted(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  const listener = (): void => resolve();
  signal.addEventListener('abort', listener);
  await Promise.race([promise.catch(() => {}), aborted]);
  signal.removeEventListener('abort', listener);
}

/** Resolves when the signal aborts. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/**
 * Resolves with what is being opened. If the signal aborts before, it is not waited for: should it open all the same,
 * it is closed at once.
 * @throws the signal's reason, or what the opening throws
 */
export async function unlessAborted<T extends { close(): Promise<void> }>(
  opening: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  await settledOrAborted(opening, signal);
  if (!signal.aborted) return opening;
  opening.then(
    (opened) => opened.close(),
    () => {},
  );
  throw signal.reason;
}
