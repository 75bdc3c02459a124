import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { lockData } from './data-lock.ts';
import type { Example, Here } from './example.ts';
import { ExampleError, flagsOf, helpText, type Options, readOptions } from './options.ts';
import { posthornProcess, waitUntilReady } from './posthorn.ts';
import { Processes } from './processes.ts';
import { Screen } from './screen.ts';
import { type Draft, sendEvents } from './send.ts';
import { type Late, type PlacedService, place, startServices } from './services.ts';
import { addTrigger, triggersFolder } from './triggers-folder.ts';

/** Time for the last deliveries to be printed before the summary. */
const settleMs = 500;

/** How often we look whether whoever started us has gone: npm passes SIGTERM on to nobody. */
const parentCheckMs = 500;

/** Ctrl-C comes from the terminal, and once more from npm, which passes it on: on a busy machine half a second later. */
const sameSignalMs = 2_000;

/**
 * Starts the services whose runtime is installed, then Posthorn on the embedded log; sends the events, tells what to
 * try next, and runs until Ctrl-C, SIGTERM or SIGHUP. Leaves no process behind. Sets the exit code.
 */
export async function runExample(example: Example, argv: readonly string[]): Promise<void> {
  const end = new AbortController();
  const processes = new Processes();
  const release = listenForEnd(processes, end);
  let unlock = (): void => {};
  try {
    const options = readOptions(argv, process.env, example.defaults);
    if (options === null) console.log(helpText(example.command, example.defaults));
    else {
      unlock = lockData(options.data, example.command);
      await play(example, options, processes, end);
    }
  } catch (error) {
    const cause: unknown = end.signal.aborted ? end.signal.reason : error;
    // Nothing waits any longer for a service that is on its way.
    end.abort(cause);
    if (cause !== ended) {
      if (!isForTheUser(cause)) throw cause;
      console.error(cause.message);
      process.exitCode = 1;
    }
  } finally {
    await processes.stop();
    unlock();
    release();
  }
}

/** The reason of an abort by which the user, or whoever started us, ends the example. */
const ended = Symbol('ended');

/** Whatever ends the example aborts `end`; a second signal ends all processes at once. */
function listenForEnd(processes: Processes, end: AbortController): () => void {
  let stoppedAtMs: number | null = null;
  const onSignal = (): void => {
    if (stoppedAtMs !== null && performance.now() - stoppedAtMs < sameSignalMs) return;
    if (end.signal.aborted) process.exit(130);
    stoppedAtMs = performance.now();
    console.log('\nStopping.');
    end.abort(ended);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  process.on('exit', () => processes.kill());
  // Whoever read our output has gone, as in `npm start | head`.
  process.stdout.on('error', () => end.abort(ended));
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid !== parent) end.abort(ended);
  }, parentCheckMs);
  // The signals are listened to until the process is gone, which that does not keep: npm's may come when all has ended.
  return () => clearInterval(watch);
}

/** A full disk or a folder that may not be written is the user's to mend, too. */
function isForTheUser(error: unknown): error is Error {
  return error instanceof ExampleError || (error instanceof Error && 'syscall' in error);
}

async function play(example: Example, options: Options, processes: Processes, end: AbortController): Promise<void> {
  const { signal } = end;
  const { port, adminPort, services } = await place(example, options);
  const screen = new Screen([...services.map(({ service }) => service.label), 'posthorn']);
  const data = path.resolve(options.data);
  const late = await startServices(example.folder, services, options.patienceSeconds, processes, screen, end);
  const triggers = serveTriggers(example, path.join(data, 'triggers'), services, late, end);

  const logFile = path.join(data, 'posthorn.log');
  const more = ownFlags(example);
  const settings = { port, adminPort, triggers, data: path.join(data, 'log'), logFile, more };
  processes.start({
    ...posthornProcess(settings, (line) => screen.print('posthorn', line)),
    onEnd: (how) => end.abort(new ExampleError(`Posthorn ended: ${how}. Its log lines are in ${logFile}`)),
  });
  const here = whereItRuns(port, adminPort, triggers, example.command + flagsOf(options, example.defaults));
  await waitUntilReady(here.admin, signal);

  const { events, ratePerSecond } = options;
  screen.resetCounts();
  console.log(`Posthorn takes events at ${here.ingress}\nSending ${events} events, ${ratePerSecond} a second.\n`);
  const drafts = repeated(example).take(events);
  const onRefused = (reason: string): void => screen.print('posthorn', `refused ${reason}`);
  const { accepted, refused } = await sendEvents(here.ingress, drafts, ratePerSecond, signal, onRefused);
  await delay(settleMs, undefined, { signal });
  const handlers = services.filter(({ service, present }) => present && service.trigger !== undefined);
  const printed = handlers.map(({ service }) => `${service.label} ${screen.count(service.label)}`);
  console.log(`\n${accepted} events accepted, ${refused} refused. Lines printed: ${printed.join(', ')}.\n`);
  console.log(`${example.next(here)}\n\nPress Ctrl-C to end.`);
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  signal.throwIfAborted();
}

function ownFlags({ folder, webhooks, secrets }: Example): string[] {
  const flags = webhooks === undefined ? [] : ['--webhooks', path.join(folder, webhooks)];
  return secrets === undefined ? flags : [...flags, '--secrets', path.join(folder, secrets)];
}

/** The folder of triggers to serve. Those of late services follow when these listen. */
function serveTriggers(
  example: Example,
  copy: string,
  services: readonly PlacedService[],
  late: readonly Late[],
  end: AbortController,
): string {
  const folder = path.join(example.folder, 'triggers');
  const isLate = (service: PlacedService): boolean => late.some(({ placed }) => placed === service);
  const listening = services.filter((service) => service.present && !isLate(service));
  for (const { placed, listening } of late) {
    console.log(`${placed.service.file} is being compiled, which takes a while the first time; its trigger follows.`);
    const join = (): void => {
      addTrigger(folder, copy, placed);
      console.log(`${placed.service.file} listens now; its trigger is added.`);
    };
    listening.then(join).catch((error: unknown) => end.abort(error));
  }
  return triggersFolder(folder, copy, services, listening);
}

function whereItRuns(port: number, adminPort: number, triggers: string, again: string): Here {
  const admin = `http://127.0.0.1:${adminPort}`;
  const server = adminPort === 8081 ? '' : ` --server ${admin}`;
  const relative = path.relative(process.cwd(), triggers);
  const shown = relative.startsWith('..') ? triggers : relative;
  return { ingress: `http://127.0.0.1:${port}/`, admin, triggers: shown, server, again };
}

/** The example's events, again from the beginning when all were sent. */
function* repeated(example: Example): Generator<Draft> {
  for (;;) yield* example.drafts();
}
