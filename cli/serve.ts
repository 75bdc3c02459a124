import type { Logger } from 'pino';
import { type Brokers, openBrokers } from '../broker/brokers.ts';
import { defaultIngressLimits } from '../broker/ingress/limits.ts';
import { createIngress } from '../broker/ingress/server.ts';
import type { Webhook } from '../broker/ingress/webhook/webhook.ts';
import { readWebhooksFile } from '../broker/ingress/webhook/webhooks-file.ts';
import { Gatherer } from '../broker/log/gather.ts';
import type { Log } from '../broker/log/log.ts';
import { mayHavePlain, toBrokerRecord } from '../broker/records.ts';
import { watchDirectory } from '../broker/trigger/watch-directory.ts';
import { createAdmin, type Readiness } from '../console/admin.ts';
import { Dispatcher } from '../dispatcher/dispatcher.ts';
import { HandshakeCallbacks } from '../dispatcher/handshake/callbacks.ts';
import { aborted, settledOrAborted, unlessAborted } from '../runtime/abort.ts';
import { systemClock } from '../runtime/clock.ts';
import { type ServeConfig, serveConfig, serveOptions } from '../runtime/config-serve.ts';
import { formatShortDuration } from '../runtime/duration.ts';
import { messageOf, UsageError } from '../runtime/errors.ts';
import { ClosingTime, onStopSignals, Releasers } from '../runtime/lifecycle.ts';
import { createLogger } from '../runtime/logger.ts';
import { createMetrics, type Metrics } from '../runtime/metrics.ts';
import { version } from '../runtime/version.ts';
import { type Command, exitCodes } from './command.ts';
import { listening, urlHost } from './listening.ts';

/** Runs Posthorn: accepts events, delivers them, or both. */
export const serve: Command = {
  name: 'serve',
  summary: 'Run Posthorn: accept events and deliver them',
  usage: '[--triggers DIR] [--kafka HOST:PORT,…] [options]',
  options: serveOptions,
  examples: [
    { command: 'posthorn serve --triggers ./triggers', does: 'on the embedded log, in ./.posthorn' },
    { command: 'posthorn serve --kafka kafka-1:9092,kafka-2:9092 --triggers ./triggers', does: 'on Kafka' },
    { command: 'POSTHORN_PORT=80 posthorn serve --roles ingress --kafka kafka:9092', does: 'only accepts events' },
  ],
  async run({ options, positionals, env }) {
    const [extra] = positionals;
    if (extra !== undefined)
      throw new UsageError(`serve takes no ${extra}; a directory of triggers: --triggers ${extra}`);
    const config = await serveConfig(options, env);
    const logger = createLogger({ level: config.logLevel, format: config.logFormat });
    const shutdown = onStopSignals();
    const failure = new AbortController();
    const end: End = { failed: failure.signal, signal: AbortSignal.any([shutdown.signal, failure.signal]) };
    const releasers = new Releasers(logger);
    try {
      const log = await openLog(config, logger, shutdown.signal);
      releasers.add('log', () => log.close());
      void log.failed.then((error) => failure.abort(error));
      await start(config, log, logger, releasers, end);
      await aborted(end.signal);
    } catch (error) {
      // What fails once it is to end, fails because of that.
      if (!end.signal.aborted) throw error;
    } finally {
      if (shutdown.signal.aborted) {
        logger.info({ signal: shutdown.signal.reason }, stoppingLine(shutdown.signal.reason, config.shutdownTimeoutMs));
      }
      await releasers.release();
      shutdown.dispose();
    }
    logger.info('stopped');
    // Only a new start helps, and whatever supervises the process makes one if it ends so.
    if (end.failed.aborted) throw end.failed.reason;
    return exitCodes.ok;
  },
};

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
async function start(config: ServeConfig, log: Log, logger: Logger, releasers: Releasers, end: End): Promise<void> {
  end.signal.throwIfAborted();
  const clock = systemClock;
  const metrics = createMetrics();
  const opening = openBrokers({ log, prefix: config.prefix, clock, logger, topicSettings: config });
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
  const parts: Parts = { config, log, brokers, gatherer, logger, metrics, closing, callbacks, webhooks };
  let isStarted = false;
  const readiness: (() => string[])[] = [
    () => (end.failed.aborted ? [messageOf(end.failed.reason)] : []),
    () => (end.signal.aborted ? ['Posthorn is stopping'] : isStarted ? [] : ['Posthorn is starting']),
    () => staleRegistries(brokers),
  ];
  const adminPort = await startAdmin(parts, releasers, () => readinessOf(readiness));
  if (config.roles.has('dispatcher')) readiness.push(startDispatcher(parts, releasers));
  if (config.triggers !== null) {
    const { triggers: directory, owner } = config;
    const watching = watchDirectory({ directory, owner, brokers, clock, logger });
    const watch = await unlessAborted(watching, end.signal);
    releasers.add('triggers directory', () => closing.within((signal) => settledOrAborted(watch.close(), signal)));
  }
  const port = config.roles.has('ingress') ? await startIngress(parts, releasers) : null;
  isStarted = true;
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
  const { config, log, brokers, metrics, logger } = parts;
  const admin = createAdmin({ brokers, log, metrics: metrics.registry, ready, token: config.adminToken, logger });
  releasers.add('admin', () => admin.close());
  const address = { host: config.adminHost, port: config.adminPort };
  const settings = { host: 'admin-host', port: 'admin-port' } as const;
  return (await listening(settings, address, () => admin.listen(address))).port;
}

/** @returns why nothing would be delivered just now */
function startDispatcher(parts: Parts, releasers: Releasers): () => string[] {
  const { config, log, brokers, gatherer, logger, metrics, closing, callbacks } = parts;
  const dispatcher = new Dispatcher({
    ...{ log, brokers, gatherer, logger, metrics, clock: systemClock },
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

async function startIngress(parts: Parts, releasers: Releasers): Promise<number> {
  const { config, log, brokers, gatherer, logger, metrics, closing, callbacks, webhooks } = parts;
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
        }
      );
    },
    gatherer,
    log,
    limits: { ...defaultIngressLimits, eventMaxBytes: config.eventMaxBytes, batchMaxBytes: config.batchMaxBytes },
    observer: {
      accepted: (broker, events) => metrics.broker(broker).accepted(events),
      deduplicated: (broker, events) => metrics.broker(broker).deduplicated(events),
      forgotten: (broker) => metrics.broker(broker).forgotten(),
      refused: (broker, reason) =>
        broker === '' ? metrics.refusedUnknown(reason) : metrics.broker(broker).refused(reason),
    },
    logger,
    ...{ secrets: config.secrets, webhooks, onPermission: (key, rate) => callbacks.called(key, rate) },
    // It is started after all brokers are known; an append that the log refuses is answered 503 by itself.
    ready: () => true,
  });
  releasers.add('ingress', () => closing.within((signal) => ingress.close(signal)));
  const address = { host: config.host, port: config.port };
  return (await listening({ host: 'host', port: 'port' }, address, () => ingress.listen(address))).port;
}

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
