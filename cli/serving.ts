import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { type Brokers, openBrokers } from '../broker/brokers.ts';
import type { OnPermission } from '../broker/ingress/handshake.ts';
import { defaultIngressLimits } from '../broker/ingress/limits.ts';
import { createIngress } from '../broker/ingress/server.ts';
import type { Webhook } from '../broker/ingress/webhook/webhook.ts';
import { readWebhooksFile } from '../broker/ingress/webhook/webhooks-file.ts';
import { Gatherer } from '../broker/log/gather.ts';
import type { Log } from '../broker/log/log.ts';
import { mayHavePlain, toBrokerRecord } from '../broker/records.ts';
import { eventJudge } from '../broker/schema/rules.ts';
import type { Schemas } from '../broker/schema/schemas.ts';
import { watchDirectory } from '../broker/trigger/watch-directory.ts';
import { createAdmin, type Readiness } from '../console/admin.ts';
import { Dispatcher } from '../dispatcher/dispatcher.ts';
import { HandshakeCallbacks } from '../dispatcher/handshake/callbacks.ts';
import { aborted, settledOrAborted, unlessAborted } from '../runtime/abort.ts';
import { systemClock } from '../runtime/clock.ts';
import type { ServeConfig } from '../runtime/config-serve.ts';
import { formatShortDuration } from '../runtime/duration.ts';
import { messageOf } from '../runtime/errors.ts';
import { collectLessOften } from '../runtime/garbage-collection.ts';
import { ClosingTime, Releasers } from '../runtime/lifecycle.ts';
import { createMetrics, type Metrics } from '../runtime/metrics.ts';
import { version } from '../runtime/version.ts';
import { claim, listening, urlHost } from './listening.ts';
import { WorkerPool } from './workers/pool.ts';

/** What is different in a process that another one has started, for `--workers`. */
export interface WorkerPlace {
  /** Where events are accepted together; null: nowhere. */
  readonly port: number | null;
  /** Gives what a subscriber has called with to whichever process waits for it. */
  readonly permission: OnPermission;
  /** It runs from now on. */
  running(posthorn: RunningPosthorn): void;
}

/** What the first process asks of a worker. */
export interface RunningPosthorn {
  readonly metrics: Registry;
  readonly called: OnPermission;
  readonly ready: () => Readiness;
}

export interface ServingOptions {
  readonly config: ServeConfig;
  readonly logger: Logger;
  /** Aborts when it is to stop; the reason is the name of a signal. */
  readonly stop: AbortSignal;
  /** What stands after `posthorn serve`, for workers. */
  readonly args: readonly string[];
  /** Absent: it is the first process, which has the admin port and the directory of triggers. */
  readonly worker?: WorkerPlace;
}

/**
 * Runs Posthorn until it is to stop.
 * @throws PosthornError when it can't start, or its log has failed for good
 */
export async function servePosthorn(options: ServingOptions): Promise<void> {
  const { config, logger, stop, worker } = options;
  collectLessOften();
  const say = worker ? 'debug' : 'info';
  const failure = new AbortController();
  const end: End = { failed: failure.signal, signal: AbortSignal.any([stop, failure.signal]) };
  const releasers = new Releasers(logger);
  try {
    const log = await openLog(config, logger, stop);
    releasers.add('log', () => log.close());
    void log.failed.then((error) => failure.abort(error));
    await start(options, log, releasers, end);
    await aborted(end.signal);
  } catch (error) {
    // What fails once it is to end, fails because of that.
    if (!end.signal.aborted) throw error;
  } finally {
    if (stop.aborted) logger[say]({ signal: stop.reason }, stoppingLine(stop.reason, config.shutdownTimeoutMs));
    await releasers.release();
  }
  logger[say]('stopped');
  // Only a new start helps, and whatever supervises the process makes one if it ends so.
  if (end.failed.aborted) throw end.failed.reason;
}

function stoppingLine(signal: NodeJS.Signals, timeoutMs: number): string {
  const wait = `what is in flight has up to ${formatShortDuration(timeoutMs)} to end`;
  return `stopping at ${signal}: no new events; ${wait}, a second signal ends Posthorn at once`;
}

/** When it is to end. */
interface End {
  /** Aborts when the log has failed for good; the reason is its error. */
  readonly failed: AbortSignal;
  /** Aborts then too, and when a signal asks the process to stop. */
  readonly signal: AbortSignal;
}

/**
 * Brings the parts up in the order in which they need each other; they are released in the opposite order.
 * @throws PosthornError, or the reason of `end`
 */
async function start(options: ServingOptions, log: Log, releasers: Releasers, end: End): Promise<void> {
  const { config, logger, worker } = options;
  end.signal.throwIfAborted();
  const clock = systemClock;
  const metrics = createMetrics();
  const { prefix, retryGroups } = config;
  const opening = openBrokers({ log, prefix, clock, logger, topicSettings: config, retryGroups });
  const brokers = await unlessAborted(opening, end.signal);
  releasers.add('brokers', () => brokers.close());
  const gatherer = new Gatherer({ log, clock });
  releasers.add('gatherer', () => gatherer.close());

  const { shutdownTimeoutMs } = config;
  const closeMs = () => (end.failed.aborted ? Math.min(shutdownTimeoutMs, failedCloseMs) : shutdownTimeoutMs);
  const closing = new ClosingTime(closeMs, clock);
  const { webhooks: file, secrets } = config;
  const webhooks = file === null ? [] : await readWebhooksFile(file, '--webhooks', secrets);
  const callbacks = new HandshakeCallbacks(config.webhookCallbackUrl);
  const called: OnPermission = (key, rate) => callbacks.called(key, rate);
  const pool =
    worker || config.workers === 1
      ? null
      : new WorkerPool({ count: config.workers - 1, args: options.args, permission: called, clock, logger });
  if (pool) releasers.add('workers', () => closing.within((signal) => pool.ended(signal)));
  const elsewhere = worker?.permission ?? pool?.permission;
  const parts: Parts = {
    config,
    log,
    brokers,
    gatherer,
    logger,
    metrics,
    closing,
    callbacks,
    webhooks,
    schemas: await startSchemas(config, logger, metrics, releasers),
    pool,
    elsewhere,
  };
  let isStarted = false;
  const readiness: (() => string[])[] = [
    () => (end.failed.aborted ? [messageOf(end.failed.reason)] : []),
    () => (end.signal.aborted ? ['Posthorn is stopping'] : isStarted ? [] : ['Posthorn is starting']),
    () => staleRegistries(brokers),
    () => pool?.unready() ?? [],
  ];
  const ready = (): Readiness => readinessOf(readiness);
  const adminPort = worker ? null : await startAdmin(parts, releasers, ready);
  if (config.roles.has('dispatcher')) readiness.push(startDispatcher(parts, releasers));
  if (config.triggers !== null && !worker) {
    const { triggers: directory, owner } = config;
    const watching = watchDirectory({ directory, owner, brokers, clock, logger });
    const watch = await unlessAborted(watching, end.signal);
    releasers.add('triggers directory', () => closing.within((signal) => settledOrAborted(watch.close(), signal)));
  }
  const isIngress = config.roles.has('ingress') && worker?.port !== null;
  const port = isIngress ? await startIngress(parts, releasers, worker?.port) : null;
  isStarted = true;
  if (pool) {
    pool.start(canShare ? port : null);
    // Before the others, which so have as long as this one.
    releasers.add('stop of the workers', () => pool.stop());
  }
  if (adminPort === null) {
    worker?.running({ metrics: metrics.registry, called, ready });
    return;
  }
  logger.info(
    {
      version,
      log: config.log.kind,
      ...(config.log.kind === 'embedded' ? { data: config.log.directory } : { kafka: config.log.brokers.join() }),
      ...(port !== null && { ingress: `http://${urlHost(config.host)}:${port}` }),
      admin: `http://${urlHost(config.adminHost)}:${adminPort}`,
    },
    'Posthorn is running',
  );
}

interface Parts {
  readonly config: ServeConfig;
  readonly log: Log;
  readonly brokers: Brokers;
  readonly gatherer: Gatherer;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly closing: ClosingTime;
  /** The dispatcher waits for them, the ingress takes them. */
  readonly callbacks: HandshakeCallbacks;
  readonly webhooks: readonly Webhook[];
  /** null: there are none. */
  readonly schemas: Schemas | null;
  /** null: there are no workers. */
  readonly pool: WorkerPool | null;
  /** Who else may wait for a permission that was given here. */
  readonly elsewhere: OnPermission | undefined;
}

/** Loads the validator only where there are schemas. */
async function startSchemas(
  { schemas: directory, schemaRegistry: base }: ServeConfig,
  logger: Logger,
  metrics: Metrics,
  releasers: Releasers,
): Promise<Schemas | null> {
  if (directory === null && base === null) return null;
  const { openSchemas } = await import('../broker/schema/open.ts');
  const schemas = await openSchemas({ directory, base, clock: systemClock, logger });
  releasers.add('schemas', () => schemas.close());
  if (directory !== null) metrics.showSchemas(() => schemas);
  return schemas;
}

/** Loads only the driver that runs: each costs start time and memory. */
async function openLog(config: ServeConfig, logger: Logger, signal: AbortSignal): Promise<Log> {
  if (config.log.kind === 'embedded') {
    const { openEmbeddedLog } = await import('../broker/log/embedded/embedded-log.ts');
    return openEmbeddedLog({ directory: config.log.directory, clock: systemClock, logger });
  }
  const { openKafkaLog } = await import('../broker/log/kafka/kafka-log.ts');
  const { brokers, tls, sasl } = config.log;
  return openKafkaLog({ brokers, tls, sasl, replicationFactor: config.replicationFactor, logger, signal });
}

async function startAdmin(parts: Parts, releasers: Releasers, ready: () => Readiness): Promise<number> {
  const { config, log, brokers, logger, pool } = parts;
  const { registry } = parts.metrics;
  const { contentType } = registry;
  const metrics = pool ? { contentType, metrics: () => pool.metrics(registry) } : registry;
  const admin = createAdmin({ brokers, log, metrics, ready, token: config.adminToken, logger });
  releasers.add('admin', () => admin.close());
  const address = { host: config.adminHost, port: config.adminPort };
  const settings = { host: 'admin-host', port: 'admin-port' } as const;
  return (await listening(settings, address, () => admin.listen(address))).port;
}

/** @returns why nothing would be delivered just now */
function startDispatcher(parts: Parts, releasers: Releasers): () => string[] {
  const { config, log, brokers, gatherer, logger, metrics, closing, callbacks, schemas } = parts;
  const dispatcher = new Dispatcher({
    ...{ log, brokers, gatherer, logger, metrics, schemas, clock: systemClock },
    window: { recordsMax: config.windowRecords, bytesMax: config.windowBytes },
    waitingEventsMax: config.waitingEventsMax,
    responseBytesMax: config.responseMaxBytes,
    retryGroups: config.retryGroups,
    secrets: config.secrets,
    origin: config.webhookOrigin,
    callbacks,
  });
  dispatcher.start();
  releasers.add('dispatcher', () => closing.within((signal) => dispatcher.close(signal)));
  return () => dispatcher.unready();
}

/** @param sharedPort the port on which the first process accepts; undefined: this is the first */
async function startIngress(parts: Parts, releasers: Releasers, sharedPort?: number): Promise<number> {
  const { config, log, brokers, gatherer, logger, metrics, closing, callbacks, webhooks, schemas, pool, elsewhere } =
    parts;
  const onPermission: OnPermission = async (key, rate) => {
    const answer = callbacks.called(key, rate);
    return answer === 'unknown' && elsewhere ? elsewhere(key, rate) : answer;
  };
  const ingress = createIngress({
    lookup(namespace, name) {
      const registry = brokers.get(namespace, name);
      const broker = registry?.snapshot().broker;
      return (
        registry && {
          topic: registry.topics().events,
          hasForeign: broker ? mayHavePlain(broker) : false,
          toRecord: (event) => toBrokerRecord(event, broker ?? null),
          deduplicateMs: broker?.deduplicateMs ?? null,
          verifyWith: broker?.verifyWith ?? null,
          judge: eventJudge(schemas, broker?.schemaRules ?? null),
        }
      );
    },
    gatherer,
    log,
    limits: { ...defaultIngressLimits, eventMaxBytes: config.eventMaxBytes, batchMaxBytes: config.batchMaxBytes },
    observer: {
      accepted: (broker, events) => metrics.broker(broker).accepted(events),
      deduplicated: (broker, events) => metrics.broker(broker).deduplicated(events),
      unknownSchema: (broker, events) => metrics.broker(broker).schemaUnknown(events),
      forgotten: (broker) => metrics.broker(broker).forgotten(),
      refused: (broker, reason) =>
        broker === '' ? metrics.refusedUnknown(reason) : metrics.broker(broker).refused(reason),
    },
    logger,
    ...{ secrets: config.secrets, webhooks, onPermission },
    // It is started after all brokers are known; an append that the log refuses is answered 503 by itself.
    ready: () => true,
  });
  releasers.add('ingress', () => closing.within((signal) => ingress.close(signal)));
  const isShared = canShare && (pool !== null || sharedPort !== undefined);
  const address = { host: config.host, port: sharedPort ?? config.port, isShared };
  return await listening({ host: 'host', port: 'port' }, address, async () => {
    // Sharing would not notice that the port is another Posthorn's.
    if (isShared && sharedPort === undefined) await claim(address);
    return (await ingress.listen(address)).port;
  });
}

/** Where it can't, the first process alone accepts events. */
const canShare = process.platform === 'linux' || process.platform === 'freebsd';

/** The registries are read all the time, so they tell whether the log can be reached. */
function staleRegistries(brokers: Brokers): string[] {
  const stale = brokers.list().filter((registry) => !registry.isFresh());
  return stale.map(({ name }) => `${name.namespace}/${name.name}: the registry of triggers can't be read from the log`);
}

function readinessOf(checks: readonly (() => string[])[]): Readiness {
  const reasons = checks.flatMap((check) => check());
  return { ready: reasons.length === 0, reasons };
}

/**
 * How long the shutdown may take when the log has failed, in milliseconds: long enough for the answers that are on
 * their way; no longer, since what is delivered meanwhile can't be committed, and a new start mends more.
 */
const failedCloseMs = 3_000;
