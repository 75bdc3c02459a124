import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Brokers } from '../broker/brokers.ts';
import { eventReader } from '../broker/records.ts';
import { type ParsedDocument, type Problem, parseManifests, triggerFromManifest } from '../broker/trigger/manifest.ts';
import { hasErrors } from '../broker/trigger/manifest-files.ts';
import { findTrigger, fullName } from '../broker/trigger/registry-plan.ts';
import type { Trigger } from '../broker/trigger/trigger.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { PosthornError } from '../runtime/errors.ts';
import { didYouMean } from '../runtime/nearest.ts';
import { linesType, ManifestsRefusedError, problemDetails, problemOf } from './problem.ts';
import { badRequest, readQuery } from './query.ts';
import { parseSince } from './since.ts';
import { planTry, runTry, type TryOptions, type TryPlan, type TryResult } from './try.ts';

export const samplesDefault = 5;
export const samplesMax = 100;

/** Each takes half of the event loop while it runs. */
const triesMax = 2;

/** No more often are clients told of the progress. */
const progressEveryMs = 200;

/** What is tried, and where; the first line of the answer. */
export interface Tried {
  readonly namespace: string;
  readonly name: string;
  readonly broker: string;
  readonly topics: readonly string[];
  /** RFC 3339. */
  readonly since: string;
  /** The generation of the running version; null where there is none. */
  readonly running: number | null;
}

/** One line of the answer, which is a JSON object a line. The last is a result or a problem. */
export type TryLine =
  | { readonly tried: Tried }
  | { readonly progress: { readonly read: number; readonly total: number; readonly matched: number } }
  | { readonly result: TryResult }
  | { readonly problem: ReturnType<typeof problemDetails> };

/**
 * `POST /try?since=…`: runs the filter of the trigger in the body over the events in the log. Nothing is changed.
 * @param filesOf reads the manifests of a body
 */
export function tryRoute(
  api: FastifyInstance,
  brokers: Brokers,
  log: TryOptions['log'],
  filesOf: (contentType: string | undefined, body: unknown) => readonly { file: string; text: string }[],
): void {
  const closing = new AbortController();
  api.addHook('preClose', async () => closing.abort());
  let running = 0;
  api.post('/try', async ({ headers, body, query }, reply) => {
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const request = readRequest(brokers, filesOf(headers['content-type'], body), query, systemClock);
    if (running >= triesMax) {
      throw new PosthornError(
        'TRY_BUSY',
        `${running} filters are tried already, at most ${triesMax} at a time; try again soon`,
      );
    }
    running += 1;
    const end = once(() => {
      running -= 1;
    });
    try {
      const options: TryOptions = { ...request.options, log, signal: AbortSignal.any([gone.signal, closing.signal]) };
      const lines = Readable.from(linesOf(request.tried, options, await planTry(options)), { objectMode: false });
      lines.once('close', end);
      // Else it would wait for a reader for ever.
      if (gone.signal.aborted) lines.destroy();
      // A stop that comes meanwhile would wait for a connection that is kept open after the answer.
      return reply.type(linesType).header('connection', 'close').send(lines);
    } catch (error) {
      end();
      throw error;
    }
  });
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) action();
    isDone = true;
  };
}

async function* linesOf(tried: Tried, options: TryOptions, plan: TryPlan): AsyncGenerator<string> {
  const line = (value: TryLine): string => `${JSON.stringify(value)}\n`;
  yield line({ tried });
  const steps = runTry(options, plan);
  let toldMs = Number.NEGATIVE_INFINITY;
  try {
    for (;;) {
      const { value, done } = await steps.next();
      if (done) {
        yield line(value === null ? { problem: problemDetails(503, 'Posthorn is stopping') } : { result: value });
        return;
      }
      const nowMs = options.clock.monotonic();
      if (nowMs - toldMs < progressEveryMs) continue;
      toldMs = nowMs;
      yield line({ progress: value });
    }
  } catch (error) {
    const problem = problemOf(error);
    if (problem === null) throw error;
    yield line({ problem });
  }
}

interface TryRequest {
  readonly tried: Tried;
  readonly options: Omit<TryOptions, 'log' | 'signal'>;
}

/** @throws PosthornError for what is not as it should be */
function readRequest(
  brokers: Brokers,
  files: readonly { file: string; text: string }[],
  query: unknown,
  clock: Clock,
): TryRequest {
  const options = readQuery(query, { since: 'any', samples: 'text', trigger: 'text', namespace: 'text' });
  const nowMs = clock.now();
  const since = parseSince(options.text('since') ?? '1h', nowMs);
  if ('problem' in since) throw badRequest(`since ${since.problem}`);
  const samples = options.text('samples') ?? String(samplesDefault);
  if (!/^\d{1,3}$/.test(samples) || Number(samples) > samplesMax) {
    throw badRequest(`samples is a whole number, 0 to ${samplesMax}, not ${samples}`);
  }
  const namespace = options.text('namespace') ?? 'default';
  const trigger = triggerIn(brokers.prefix, files, namespace, options.text('trigger'));
  const broker = { namespace: trigger.namespace, name: trigger.broker };
  const registry = brokers.get(broker.namespace, broker.name);
  if (!registry) throw new PosthornError('BROKER_UNKNOWN', `no broker ${fullName(broker)}, so it has no events`);
  const found = findTrigger(
    brokers.list().map((one) => one.stored()),
    trigger,
  );
  const running = found && fullName(found.broker) === fullName(broker) ? found.stored.trigger : null;
  const { eventTopics: topics } = registry.topics();
  return {
    tried: {
      namespace: trigger.namespace,
      name: trigger.name,
      broker: trigger.broker,
      topics,
      since: new Date(since.sinceMs).toISOString(),
      running: running?.generation ?? null,
    },
    options: {
      ...{ topics, readEvent: eventReader(broker, registry.snapshot().broker) },
      ...{ sinceMs: since.sinceMs, tried: trigger, running, samplesMax: Number(samples), clock },
    },
  };
}

/** The one trigger of the manifests, or that of the name. */
function triggerIn(
  prefix: string,
  files: readonly { file: string; text: string }[],
  namespace: string,
  name: string | undefined,
): Omit<Trigger, 'laneSpans'> {
  const parsed = files.map(({ file, text }) => parseManifests(text, file, { namespace, prefix }));
  const problems: Problem[] = parsed.flatMap((one) => one.problems);
  if (hasErrors({ problems })) throw new ManifestsRefusedError(problems);
  const triggers = parsed.flatMap((one) => one.documents).filter(({ kind }) => kind === 'Trigger');
  const [chosen, second] = name === undefined ? triggers : triggers.filter((one) => one.name === name);
  if (chosen === undefined) throw badRequest(noTrigger(triggers, name));
  if (second !== undefined) {
    throw badRequest(`the manifests have ${triggers.length} triggers; name the one that is to be tried (--trigger)`);
  }
  return triggerFromManifest(chosen.manifest, { uid: '', generation: 0, owner: '', namespace: chosen.namespace }, null);
}

function noTrigger(triggers: readonly ParsedDocument[], name: string | undefined): string {
  if (name === undefined || triggers.length === 0) return 'the manifests have no trigger';
  return `the manifests have no trigger ${name}${didYouMean(
    name,
    triggers.map((one) => one.name),
  )}`;
}
