import { distance } from 'fastest-levenshtein';

/**
 * The candidate that was most likely meant, or undefined where none is near: at most a third of the letters may
 * differ (two in short names), and a difference in case alone is near whatever the length. Of names equally near the
 * one closest in length is taken, then the first.
 */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  const wanted = name.toLowerCase();
  let best: string | undefined;
  let bestScore = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const edits = distance(wanted, candidate.toLowerCase());
    // Below 1 as long as names have less than a thousand letters, so that it only breaks ties.
    const score = edits + Math.abs(wanted.length - candidate.length) / 1_000;
    if (score < bestScore && edits <= editsMax(wanted, candidate)) {
      best = candidate;
      bestScore = score;
    }
  }
  return best;
}

function editsMax(name: string, candidate: string): number {
  const letters = Math.min(name.length, candidate.length);
  return letters <= 2 ? letters - 1 : Math.max(2, Math.floor(letters / 3));
}

/** `; did you mean NAME?`, or '' where none is near. For the end of a message. */
export function didYouMean(name: string, candidates: readonly string[]): string {
  const guess = nearest(name, candidates);
  return guess === undefined ? '' : `; did you mean ${guess}?`;
}
