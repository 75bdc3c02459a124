import { randomInt } from 'node:crypto';

/** Random numbers in [0, 1) from a seed: SEED of the environment, or a new one, to be printed by who uses it. */
export function seeded(seed = process.env.SEED): { readonly seed: number; readonly random: () => number } {
  const start = seed === undefined ? randomInt(2 ** 31) : Number(seed);
  let state = start;
  // mulberry32
  const random = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return { seed: start, random };
}
