import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { globSync, mkdirSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { formatShortDuration } from '../../runtime/duration.ts';
import { messageOf } from '../../runtime/errors.ts';
import { startGuardian } from '../support/kafka/guardian.ts';
import { faultsOn, type LogKind } from './catalog.ts';
import { OptionsError, type RunOptions, readOptions, usage } from './options.ts';
import { faultsFound, report } from './report.ts';
import { schedule } from './schedule.ts';
import { runSuite } from './suite.ts';

/**
 * `npm run test:faults`: sends events through Posthorn while everything around it misbehaves, and accounts for each.
 * Ends with 1 if an event is missing, arrived more often than the faults explain, or came out of order where order is
 * promised; with 2 for wrong options, with 130 when interrupted.
 */

const exitCodes = { ok: 0, found: 1, usage: 2, interrupted: 130 } as const;

/** Of so many events what is known is printed; of all it is in the folder of --keep. */
const evidenceMax = 10;
/** So many lines of what became of the groups. */
const historyMax = 400;

/** Of the disk that is to become full: room for the log of a run, and for Posthorn's reserve. */
const diskMib = 512;

const interrupt = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // At Ctrl-C the terminal and npm send one each; who presses it again later does not want to wait.
    if (!interrupt.signal.aborted) interrupt.abort(signal);
  });
}
// Whoever read what it prints has ended, as `head` does.
process.stdout.on('error', () => interrupt.abort('nobody reads any more'));
// npm does not pass a SIGTERM on: without npm nobody waits for the result.
const parent = process.ppid;
const watch = setInterval(() => {
  if (process.env.npm_lifecycle_event !== undefined && process.ppid !== parent) interrupt.abort('npm has ended');
}, 1_000);

try {
  process.exitCode = await main(process.argv.slice(2));
} finally {
  clearInterval(watch);
}
// What was cut off in the middle may have left timers.
if (interrupt.signal.aborted) process.exit(exitCodes.interrupted);

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    console.log(usage);
    return exitCodes.ok;
  }
  let options: RunOptions;
  try {
    options = readOptions(args);
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    console.error(`${error.message}\n\n${usage}`);
    return exitCodes.usage;
  }
  const seed = options.seed ?? randomInt(2 ** 31);
  if (options.keep !== null) mkdirSync(options.keep, { recursive: true });
  let code: number = exitCodes.ok;
  for (const log of options.logs) {
    if (interrupt.signal.aborted) return exitCodes.interrupted;
    const run = { ...options, seed };
    const needsDisk = options.disk === null && faultsOn(log, options.faults).includes('full-disk');
    code = Math.max(code, needsDisk ? await runOnOwnDisk(log, run) : await runHere(log, run));
  }
  return code;
}

type SeededOptions = RunOptions & { readonly seed: number };

async function runHere(log: LogKind, options: SeededOptions): Promise<number> {
  const { seed, durationMs, eventsPerSecond, disk, keep } = options;
  const tell = (line: string): void => console.log(line);
  const fakeTime = findFakeTime();
  const names = faultsOn(log, options.faults).filter((name) => name !== 'clock' || fakeTime !== null);
  const steps = schedule({ seed, durationMs, log, faults: names });
  tell(`\n${log}: ${steps.length} faults in ${formatShortDuration(durationMs)}; seed ${seed}`);
  if (fakeTime === null) tell('without faults of the clock, which need libfaketime (Debian: apt-get install faketime)');
  try {
    const { signal } = interrupt;
    const result = await runSuite({
      ...{ log, seed, durationMs, faults: names, eventsPerSecond, disk, keep, signal, tell },
      fakeTime: names.includes('clock') ? fakeTime : null,
    });
    const found = faultsFound(result);
    tell(`\n${report(result)}\n\n${found.length === 0 ? `${log}: nothing is wrong.` : `${log}: WRONG:`}`);
    for (const one of found) tell(`- ${one}`);
    for (const line of result.evidence.slice(0, evidenceMax)) tell(`  ${line}`);
    if (result.evidence.length > 0) for (const line of result.history.slice(-historyMax)) tell(`  ${line}`);
    return found.length === 0 ? exitCodes.ok : exitCodes.found;
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    tell('interrupted');
    return exitCodes.interrupted;
  }
}

/** Runs in a process of its own that alone sees a file system in memory, which ends with it. */
async function runOnOwnDisk(log: LogKind, options: SeededOptions): Promise<number> {
  const directory = await mkdtemp(path.join(tmpdir(), 'posthorn-faults-disk-'));
  const guardian = startGuardian(directory);
  const mount = `mount -t tmpfs -o size=${diskMib}m tmpfs "$1" && shift && exec "$@"`;
  const args = [
    ...['--log', log, '--seed', String(options.seed), '--duration', formatShortDuration(options.durationMs)],
    ...['--faults', options.faults.join(), '--rate', String(options.eventsPerSecond), '--disk', directory],
    ...(options.keep === null ? [] : ['--keep', options.keep]),
  ];
  const command = ['--map-root-user', '--mount', 'sh', '-c', mount, 'sh', directory];
  const child = spawn('unshare', [...command, process.execPath, import.meta.filename, ...args], { stdio: 'inherit' });
  guardian.watch(`process ${child.pid}`);
  const stop = (): void => void child.kill('SIGTERM');
  interrupt.signal.addEventListener('abort', stop);
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    return code ?? exitCodes.found;
  } catch (error) {
    console.error(`a disk that can be filled needs unshare (util-linux): ${messageOf(error)}`);
    return exitCodes.found;
  } finally {
    interrupt.signal.removeEventListener('abort', stop);
    await guardian.stop();
  }
}

function findFakeTime(): string | null {
  return globSync('/usr/lib{,64}/{*/,}faketime/libfaketime.so.1')[0] ?? null;
}
