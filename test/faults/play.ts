import { setTimeout as delay } from 'node:timers/promises';
import { type Family, faults } from './catalog.ts';
import type { Step } from './schedule.ts';
import type { Actions, Trouble } from './stage.ts';

export interface PlayOptions {
  readonly actions: Actions;
  /** What could not begin by this time, as others took long, is left out; in milliseconds. */
  readonly durationMs: number;
  /** Aborts when the rest is to be left out. What has begun is ended all the same. */
  readonly signal: AbortSignal;
  readonly tell: (line: string) => void;
}

/**
 * Brings the faults of a schedule about, each family's one after the other and the families at the same time. A fault
 * that takes longer to begin or to end than its time (a broker that starts slowly) puts off the next of its family.
 */
export async function play(steps: readonly Step[], { actions, durationMs, signal, tell }: PlayOptions): Promise<void> {
  const startedMs = performance.now();
  const elapsedMs = (): number => performance.now() - startedMs;
  const wait = (ms: number): Promise<void> => delay(Math.max(0, ms), undefined, { signal }).catch(() => {});

  const playFamily = async (its: readonly Step[]): Promise<void> => {
    for (const step of its) {
      await wait(step.atMs - elapsedMs());
      const action = actions[step.fault];
      const beganMs = elapsedMs();
      if (signal.aborted || action === undefined) return;
      if (beganMs > durationMs) {
        tell(`${seconds(beganMs)} ${step.fault}: left out, as the time is up`);
        continue;
      }
      const lateMs = beganMs - step.atMs;
      const late = lateMs > 1_000 ? ` (due at ${seconds(step.atMs)})` : '';
      let trouble: Trouble;
      try {
        trouble = await action(step);
      } catch (error) {
        tell(`${seconds(beganMs)} ${step.fault} could not be brought about: ${String(error)}`);
        continue;
      }
      const { what } = faults[step.fault];
      tell(`${seconds(beganMs)} ${step.fault}: ${trouble.what}; ${what} ${seconds(step.lastsMs).trim()}${late}`);
      await wait(step.lastsMs);
      // Who interrupts a run ends everything, and does not want it mended.
      if (!signal.aborted) await trouble.end();
    }
  };

  const byFamily = Map.groupBy(steps, (step): Family => faults[step.fault].family);
  await Promise.all([...byFamily.values()].map(playFamily));
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1).padStart(7)} s`;
}
