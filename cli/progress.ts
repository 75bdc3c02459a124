/** A bar that is drawn more often than this flickers. */
const redrawMs = 100;
const barWidth = 24;

export interface Progress {
  /** Takes the bar off the screen. Idempotent. */
  stop(): void;
}

/** How far something is. */
export interface Stage {
  /** How much of it is done, 0 to 1; null where the end is not known. */
  readonly share: number | null;
  /** What stands after the bar. */
  readonly text: string;
}

/** Draws on a terminal how far something is; elsewhere nothing. */
export function showBar(output: NodeJS.WritableStream, stage: () => Stage): Progress {
  if (!('isTTY' in output) || output.isTTY !== true) return { stop() {} };
  const draw = (): void => {
    const { share, text } = stage();
    const filled = Math.round((share ?? 0) * barWidth);
    const bar = share === null ? '' : `[${'#'.repeat(filled).padEnd(barWidth, '.')}] ${Math.floor(share * 100)} %  `;
    output.write(`\r\u001b[K${bar}${text}`);
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
