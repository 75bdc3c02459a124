import { type Progress, showBar } from '../progress.ts';
import { formatCount, type Tally } from './tally.ts';

/** Draws on a terminal how far the sending is; elsewhere nothing. */
export function showProgress(
  output: NodeJS.WritableStream,
  tally: Tally,
  /** How much of it is done, 0 to 1; null where the end is not known. */
  done: () => number | null,
): Progress {
  const startMs = performance.now();
  return showBar(output, () => {
    const seconds = (performance.now() - startMs) / 1_000;
    const refused = tally.refused === 0 ? '' : `  ${formatCount(tally.refused)} refused`;
    const rate = `${formatCount(tally.accepted / seconds)}/s`;
    return { share: done(), text: `${formatCount(tally.accepted)} accepted  ${rate}${refused}` };
  });
}
