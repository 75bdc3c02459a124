import { until } from '../../test/support/until.ts';

/** Waits so many seconds. @throws the signal's reason */
export function pause(seconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const aborted = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', aborted);
      resolve();
    }, 1_000 * seconds);
    signal.addEventListener('abort', aborted, { once: true });
  });
}

/** After this nothing will arrive any more, in milliseconds. */
const arrivalMs = 60_000;

/**
 * Waits so many seconds, and on until anything has arrived since it was called.
 * @param arrived how much has
 * @throws the signal's reason, or Error if nothing arrives
 */
export async function pauseForSome(
  seconds: number,
  arrived: () => Promise<number>,
  signal: AbortSignal,
): Promise<void> {
  const before = await arrived();
  await pause(seconds, signal);
  await until(async () => (await arrived()) > before, 'an event arrives', arrivalMs);
}

/** @throws Error if the work takes longer */
export async function within<T>(timeoutMs: number, what: string, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const giveUp = (): void => late.reject(new Error(`gave up after ${timeoutMs} ms waiting for ${what}`));
  const timer = setTimeout(giveUp, timeoutMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
