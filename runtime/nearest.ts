import { distance } from 'fastest-levenshtein';

/**
 * The candidate that was most likely meant, or undefined where none is near: at most a third of the letters may
 * differ (two in short names), and a difference in case alone is near whatever the length. Ties go to the first.
 */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  const wanted = name.toLowerCase();
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const edits = distance(wanted, candidate.toLowerCase());
    if (edits < bestDistance && edits <= editsMax(wanted, candidate)) {
      best = candidate;
      bestDistance = edits;
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
