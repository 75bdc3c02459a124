/**
 * How many cases a property test tries: so many in `npm test`, and 100,000 in its long form (LONG=1 in the environment,
 * which `npm run test:long` sets).
 */
export function propertyRuns(short: number): number {
  return process.env.LONG === '1' ? 100_000 : short;
}
