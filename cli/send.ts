import { Pool } from 'undici';
import { type Clock, sleep, systemClock } from '../runtime/clock.ts';
import { UsageError } from '../runtime/errors.ts';
import { onStopSignals } from '../runtime/lifecycle.ts';
import { type Command, type ExitCode, exitCodes, type Invocation } from './command.ts';
import { type GivenOptions, textOption, wholeNumber } from './options.ts';
import { type PostOptions, post } from './send/post.ts';
import { showProgress } from './send/progress.ts';
import { lines, payloads, repeated, type Source } from './send/sources.ts';
import { Tally } from './send/tally.ts';
import { dataOf, dataOption, templateOf, templateOptions } from './send/template.ts';

const defaultUrl = 'http://127.0.0.1:8080';
const defaultConcurrency = 32;

export const send: Command = {
  name: 'send',
  summary: 'Send events to a broker: one from flags, a file of them, or a directory of payloads',
  usage: '--type TYPE [--data DATA] | --file FILE | --dir DIR  [OPTIONS]',
  options: [
    ...templateOptions,
    dataOption,
    { name: 'count', value: 'N', help: 'Send the event so many times, each with an id of its own (default 1)' },
    {
      name: 'file',
      short: 'f',
      value: 'FILE',
      help: 'Send every line of the file, a CloudEvent as JSON each; - for standard input',
    },
    {
      name: 'dir',
      value: 'DIR',
      help: 'Send every .json file below the directory as the data of an event; without --type its path gives the type: orders/created.json is orders.created',
    },
    { name: 'url', value: 'URL', help: `Where events are accepted (default ${defaultUrl})` },
    { name: 'namespace', short: 'n', value: 'NAME', help: 'Namespace of the broker (default default)' },
    { name: 'broker', short: 'b', value: 'NAME', help: 'Name of the broker (default default)' },
    { name: 'concurrency', value: 'N', help: `Requests at a time, 1 to 1000 (default ${defaultConcurrency})` },
    { name: 'rate', value: 'N', help: 'At most so many events a second' },
  ],
  examples: [
    {
      command: `posthorn send --type com.example.order.created --data '{"order": 17}'`,
      does: 'sends one event with JSON data',
    },
    { command: 'posthorn send --file events.ndjson', does: 'sends a CloudEvent for each line of the file' },
    {
      command: 'gzip -dc events.ndjson.gz | posthorn send --file - --rate 500',
      does: 'the same from standard input, at most 500 a second',
    },
    { command: 'posthorn send --dir payloads/', does: 'sends each JSON file below payloads/ as an event' },
  ],
  run,
};

async function run(invocation: Invocation): Promise<ExitCode> {
  const { options, positionals, stdout, stderr } = invocation;
  if (positionals.length > 0) throw new UsageError(`send takes no arguments, but got ${positionals.join(' ')}`);
  const { origin, path } = addressOf(options);
  const concurrency = wholeNumber(options, 'concurrency', 1_000) ?? defaultConcurrency;
  const perSecond = wholeNumber(options, 'rate', 1_000_000);
  const source = await sourceOf(invocation);

  const tally = new Tally();
  const shutdown = onStopSignals();
  const pool = new Pool(origin, { connections: concurrency, pipelining: 1 });
  const progress = showProgress(stderr, tally, () => source.done());
  const startMs = performance.now();
  let warned = false;
  try {
    const stopped = await sendAll({
      source,
      tally,
      concurrency,
      interrupted: shutdown.signal,
      pace: perSecond === undefined ? async () => {} : paced(systemClock, 1_000 / perSecond),
      absent: (reason) =>
        `no Posthorn takes events at ${origin} (${reason}); start one with posthorn serve, or name another with --url`,
      post: {
        pool,
        path,
        server: { connected: false },
        clock: systemClock,
        onRetry(reason) {
          if (!warned) stderr.write(`posthorn: ${origin} takes no events at the moment (${reason}); trying again\n`);
          warned = true;
        },
      },
    });
    const elapsedMs = performance.now() - startMs;
    progress.stop();
    if (stopped !== null) await countUnsent(tally, source);
    stdout.write(tally.summary(elapsedMs));
    if (stopped !== null) stderr.write(`posthorn: ${stopped}\n`);
    return stopped === null && tally.refused === 0 ? exitCodes.ok : exitCodes.failed;
  } finally {
    progress.stop();
    shutdown.dispose();
    source.close();
    await pool.destroy();
  }
}

interface Sending {
  readonly source: Source;
  readonly tally: Tally;
  readonly concurrency: number;
  /** Resolves when the next request may go. */
  readonly pace: () => Promise<void>;
  readonly interrupted: AbortSignal;
  /** What is to be said where nobody listens. */
  readonly absent: (reason: string) => string;
  readonly post: Omit<PostOptions, 'signal'>;
}

/**
 * Sends what the source has, several at a time, into the tally.
 * @returns why it stopped before the end, as a sentence, or null
 */
async function sendAll(sending: Sending): Promise<string | null> {
  const { source, tally, concurrency, pace, interrupted, absent, post: options } = sending;
  const iterator = source.events[Symbol.asyncIterator]();
  const stopping = new AbortController();
  let stopped: string | null = null;
  const stop = (sentence: string): void => {
    stopped ??= sentence;
    stopping.abort();
    source.close();
  };
  const stopFor = (reason: string): void => stop(`stopped, what is left was not sent: ${reason}`);
  const interrupt = (): void => stopFor(`interrupted by ${interrupted.reason}`);
  interrupted.addEventListener('abort', interrupt);

  const work = async (): Promise<void> => {
    while (stopped === null) {
      await pace();
      const { value, done } = await iterator.next();
      if (done) return;
      if ('problem' in value) {
        tally.refuse(value.where, value.problem);
        continue;
      }
      if (stopped !== null) {
        tally.unsent += 1;
        return;
      }
      const result = await post(value, { ...options, signal: stopping.signal });
      switch (result.kind) {
        case 'accepted':
          tally.accepted += 1;
          break;
        case 'refused':
          tally.refuse(value.where, result.reason);
          break;
        case 'hopeless':
          tally.unsent += 1;
          stopFor(result.reason);
          break;
        case 'absent':
          tally.unsent += 1;
          stop(absent(result.reason));
      }
    }
  };
  const workers = Array.from({ length: concurrency }, work);
  try {
    await Promise.all(workers);
  } finally {
    // After a worker failed the others end too, before the caller takes their connections away.
    stopping.abort();
    await Promise.allSettled(workers);
    interrupted.removeEventListener('abort', interrupt);
  }
  return stopped;
}

/** Counts what the source still had when the sending stopped, as far as that can be known. */
async function countUnsent(tally: Tally, source: Source): Promise<void> {
  const total = await source.total();
  if (total === null) tally.hasMoreUnsent = true;
  else tally.unsent = Math.max(tally.unsent, total - tally.accepted - tally.refused);
}

/** One request an interval, whoever asks. */
function paced(clock: Clock, intervalMs: number): () => Promise<void> {
  let nextMs = clock.monotonic();
  return () => {
    const nowMs = clock.monotonic();
    const waitMs = Math.max(0, nextMs - nowMs);
    nextMs = Math.max(nowMs, nextMs) + intervalMs;
    return waitMs === 0 ? Promise.resolve() : sleep(clock, waitMs);
  };
}

async function sourceOf({ options, stdin }: Invocation): Promise<Source> {
  const file = textOption(options, 'file');
  const directory = textOption(options, 'dir');
  const template = templateOf(options);
  if (file !== undefined) {
    refuse(options, 'file', [...templateOptions.map(({ name }) => name), 'data', 'dir', 'count']);
    return lines(file, stdin);
  }
  if (directory !== undefined) {
    refuse(options, 'dir', ['id', 'data', 'count']);
    return payloads(directory, template);
  }
  if (template.type === undefined) {
    throw new UsageError('an event needs a type: --type com.example.order.created; or give events by --file or --dir');
  }
  const count = wholeNumber(options, 'count', 1_000_000_000) ?? 1;
  if (count > 1) refuse(options, 'count', ['id']);
  return repeated(template, await dataOf(textOption(options, 'data'), stdin), count);
}

function refuse(options: GivenOptions, name: string, others: readonly string[]): void {
  const other = others.find((one) => options[one] !== undefined);
  if (other !== undefined) throw new UsageError(`--${other} and --${name} do not go together`);
}

function addressOf(options: GivenOptions): { origin: string; path: string } {
  const text = textOption(options, 'url') ?? defaultUrl;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new UsageError(`--url must be an http or https URL, as ${defaultUrl}, not ${text}`);
  }
  const namespace = encodeURIComponent(textOption(options, 'namespace') ?? 'default');
  const broker = encodeURIComponent(textOption(options, 'broker') ?? 'default');
  return { origin: url.origin, path: `${url.pathname.replace(/\/$/, '')}/${namespace}/${broker}` };
}
