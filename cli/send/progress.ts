import { formatCount, type Tally } from './tally.ts';

/** A bar that is drawn more often than this flickers. */
const redrawMs = 100;
const barWidth = 24;

export interface Progress {
  /** Takes the bar off the screen. Idempotent. */
  stop(): void;
}

/** Draws on a terminal how far the sending is; elsewhere nothing. */
export function showProgress(
  output: NodeJS.WritableStream,
  tally: Tally,
  /** How much of it is done, 0 to 1; null where the end is not known. */
  done: () => number | null,
): Progress {
  if (!('isTTY' in output) || output.isTTY !== true) return { stop() {} };
  const startMs = performance.now();
  const draw = (): void => {
    const share = done();
    const seconds = (performance.now() - startMs) / 1_000;
    const filled = Math.round((share ?? 0) * barWidth);
    const bar = share === null ? '' : `[${'#'.repeat(filled).padEnd(barWidth, '.')}] ${Math.floor(share * 100)} %  `;
    const refused = tally.refused === 0 ? '' : `  ${formatCount(tally.refused)} refused`;
    output.write(
      `\r\u001b[K${bar}${formatCount(tally.accepted)} accepted  ${formatCount(tally.accepted / seconds)}/s${refused}`,
    );
  };
  const timer = setInterval(draw, redrawMs);
  let stopped = false;
  return {
    stop() {
      clearInterval(timer);
      if (!stopped) output.write('\r\u001b[K');
      stopped = true;
    },
  };
}
