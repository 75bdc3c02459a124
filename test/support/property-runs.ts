/**
 * How many cases a property test tries, or events a long test sends: so many in `npm test`, and 100,000, or fewer where
 * one takes milliseconds, in the long form (LONG=1 in the environment, which `npm run test:long` sets).
 */
export function propertyRuns(short: number, long = 100_000): number {
  return process.env.LONG === '1' ? long : short;
}
