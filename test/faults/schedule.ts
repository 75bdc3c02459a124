import { seeded } from '../support/random.ts';
import { type Family, type Fault, type FaultName, faults, faultsOn, type LogKind } from './catalog.ts';

/** One instance of a fault. */
export interface Step {
  /** When it begins, in milliseconds after the first event was sent. */
  readonly atMs: number;
  readonly fault: FaultName;
  readonly lastsMs: number;
  /** Random numbers in [0, 1): what is hit, and how hard, is drawn with them. */
  readonly dice: readonly [number, number, number];
}

export interface ScheduleOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly log: LogKind;
  readonly faults: readonly FaultName[];
}

/** Before the first fault events flow undisturbed, and after the last, in milliseconds. */
const leadMs = 1_500;
const tailMs = 1_000;

/**
 * Between two faults of a family, in milliseconds, at least and at most: time without them is needed as well, in which
 * events flow and groups settle. In a short run it is less, so that there is room for more faults.
 */
const gapsMs: Readonly<Record<Family, readonly [number, number]>> = {
  process: [2_000, 15_000],
  broker: [5_000, 25_000],
  network: [5_000, 20_000],
  subscriber: [1_000, 10_000],
  disk: [5_000, 20_000],
  clock: [5_000, 20_000],
};
/** A gap takes at most this share of a run. */
const gapShareMax = 0.15;

/** No fault takes more than this share of a run, so that a short one has several. */
const shareMax = 0.2;

/**
 * When which fault comes. Pure: the same options give the same schedule. A family goes through its faults in random
 * order, each once, before any comes again. What one family does is not changed by leaving others out.
 */
export function schedule({ seed, durationMs, log, faults: names }: ScheduleOptions): Step[] {
  const byFamily = Map.groupBy(faultsOn(log, names), (name) => faults[name].family);
  const steps = [...byFamily].flatMap(([family, its]) => familySteps(family, its, seed, durationMs));
  return steps.sort((a, b) => a.atMs - b.atMs);
}

function familySteps(family: Family, names: readonly FaultName[], seed: number, durationMs: number): Step[] {
  const { random } = seeded(String(mixed(seed, family)));
  const between = (min: number, max: number): number => Math.round(min + random() * (max - min));
  const lastsMaxMs = Math.max(1_000, durationMs * shareMax);
  const [gapMinMs, gapMaxMs] = gapsMs[family].map((ms) => Math.min(ms, durationMs * gapShareMax)) as [number, number];
  const steps: Step[] = [];
  let bag: FaultName[] = [];
  for (let atMs = leadMs + between(0, gapMaxMs / 2); ; ) {
    if (bag.length === 0) bag = shuffled(names, random);
    const name = bag.pop();
    if (name === undefined) return steps;
    const [min, max] = (faults[name] as Fault).lastsMs;
    const lastsMs = between(Math.min(min, lastsMaxMs), Math.min(max, lastsMaxMs));
    const dice = [random(), random(), random()] as const;
    if (atMs + lastsMs > durationMs - tailMs) return steps;
    steps.push({ atMs, fault: name, lastsMs, dice });
    atMs += lastsMs + between(gapMinMs, gapMaxMs);
  }
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const result: T[] = [];
  for (const value of values) result.splice(Math.floor(random() * (result.length + 1)), 0, value);
  return result;
}

/** Each family has random numbers of its own (FNV-1a of its name, from the seed). */
function mixed(seed: number, name: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
