import { parseArgs } from 'node:util';
import { parseShortDuration } from '../../runtime/duration.ts';
import { type FaultName, faultNames, faults, type LogKind } from './catalog.ts';

export interface RunOptions {
  readonly logs: readonly LogKind[];
  readonly durationMs: number;
  /** null: a new one. */
  readonly seed: number | null;
  readonly faults: readonly FaultName[];
  readonly eventsPerSecond: number;
  readonly keep: string | null;
  /** The folder of a file system that can be filled; given by a run to itself. */
  readonly disk: string | null;
}

export class OptionsError extends Error {}

export const usage = `npm run test:faults -- [options]

  --duration 20m    how long faults come, on each log (default 2m)
  --log both        embedded, kafka, or both one after the other (default both)
  --seed N          the seed of a run that is to be played again (default: a new one, which is printed)
  --faults a,b,c    only these faults (default all)
  --rate 150        events a second (default 150)
  --keep DIR        keeps all log lines of the Posthorns in this folder

Faults:
${faultNames.map((name) => `  ${name.padEnd(18)}${faults[name].what.replace(/,? [a-z ]*after$|,? for$/, '')}`).join('\n')}`;

/** @throws OptionsError saying what is wrong and what would be right */
export function readOptions(args: readonly string[]): RunOptions {
  const { values } = parse(args);
  const { log = 'both', duration = '2m', seed, rate = '150', keep = null, disk = null } = values;
  if (log !== 'both' && log !== 'embedded' && log !== 'kafka') {
    throw new OptionsError(`--log ${log}: must be embedded, kafka or both`);
  }
  const durationMs = parseShortDuration(duration);
  if (durationMs === null || durationMs < 5_000) {
    throw new OptionsError(`--duration ${duration}: must be a time of at least 5s, such as 90s or 20m`);
  }
  if (seed !== undefined && !/^\d{1,10}$/.test(seed)) throw new OptionsError(`--seed ${seed}: must be a whole number`);
  if (!/^\d{1,4}$/.test(rate) || Number(rate) < 1) {
    throw new OptionsError(`--rate ${rate}: must be a whole number of events a second, from 1 to 9999`);
  }
  const names = values.faults?.split(',') ?? faultNames;
  const wrong = names.find((name) => !Object.hasOwn(faults, name));
  if (wrong !== undefined) {
    throw new OptionsError(`--faults: there is no ${wrong}; known are ${faultNames.join(', ')}`);
  }
  return {
    logs: log === 'both' ? ['embedded', 'kafka'] : [log],
    durationMs,
    seed: seed === undefined ? null : Number(seed),
    faults: names as FaultName[],
    eventsPerSecond: Number(rate),
    ...{ keep, disk },
  };
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      args: [...args],
      options: { duration: text, log: text, seed: text, faults: text, rate: text, keep: text, disk: text },
    });
  } catch (error) {
    throw new OptionsError(error instanceof Error ? error.message : String(error));
  }
}
