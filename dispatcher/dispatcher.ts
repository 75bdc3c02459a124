import type { Logger } from 'pino';
import type { Brokers } from '../broker/brokers.ts';
import type { Gatherer } from '../broker/log/gather.ts';
import type { Log } from '../broker/log/log.ts';
import type { Schemas } from '../broker/schema/schemas.ts';
import type { Registry } from '../broker/trigger/registry.ts';
import { settledOrAborted } from '../runtime/abort.ts';
import type { Clock, Timer } from '../runtime/clock.ts';
import { messageOf } from '../runtime/errors.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Secrets } from '../runtime/secrets.ts';
import { BrokerLanes } from './broker-lanes.ts';
import { createDeliverer, type Deliverer } from './deliver.ts';
import { Asker } from './handshake/ask.ts';
import type { HandshakeCallbacks } from './handshake/callbacks.ts';
import type { WindowLimits } from './lane/window.ts';
import { Signers } from './sign.ts';

export interface DispatcherOptions {
  readonly log: Log;
  readonly brokers: Brokers;
  readonly gatherer: Gatherer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Of each lane. */
  readonly window: WindowLimits;
  /** Deliveries of one trigger that may wait for their turn, in this process. */
  readonly waitingEventsMax: number;
  /** An answer's body is read up to this many bytes. */
  readonly responseBytesMax: number;
  /** Retry lanes of each broker. */
  readonly retryGroups: number;
  /** What deliveries are signed with. */
  readonly secrets: Secrets;
  /** What stands for this Posthorn where subscribers are asked for their permission: a DNS name. */
  readonly origin: string;
  readonly callbacks: HandshakeCallbacks;
  /** Null: this process has none. */
  readonly schemas: Pick<Schemas, 'find'> | null;
}

/** Delivers the events of all brokers. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #deliverer: Deliverer;
  readonly #signers: Signers;
  readonly #asker: Asker;
  readonly #lanes = new Map<string, BrokerLanes>();
  /** Aborts when what is in flight is to be cut. */
  readonly #cut = new AbortController();
  #unsubscribe: () => void = () => {};
  #measureTimer: Timer | undefined;
  #measuring: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#signers = new Signers(options.secrets);
    this.#asker = new Asker(options.clock);
    this.#deliverer = createDeliverer({ ...options, signers: this.#signers });
  }

  start(): void {
    this.#unsubscribe = this.#options.brokers.onChange(() => this.#addBrokers());
    this.#addBrokers();
    this.#scheduleMeasuring();
  }

  /** Why events would not be delivered just now, one sentence a broker; empty when all is well. */
  unready(): string[] {
    const reading = (registry: Registry) => this.#lanes.get(nameOf(registry))?.isReading ?? false;
    return this.#options.brokers.list().flatMap((registry) => {
      if (!reading(registry)) return [`${nameOf(registry)}: the events topic is not being read yet`];
      const unreadable = [...registry.stored().triggers].filter(([, { trigger }]) => trigger === null);
      return unreadable.map(
        ([name]) =>
          `${nameOf(registry)}: this version of Posthorn can't read trigger ${name}, so that events wait: run the ` +
          'version that has applied it, or apply it again with this one',
      );
    });
  }

  /**
   * Stops reading, lets what is in flight end until `signal` aborts, commits, and cuts what is left: that is
   * delivered again after the next start. Idempotent.
   */
  async close(signal: AbortSignal): Promise<void> {
    this.#isClosed = true;
    this.#unsubscribe();
    this.#measureTimer?.cancel();
    const cut = (): void => {
      const reason = new Error('Posthorn stops');
      this.#cut.abort(reason);
      this.#deliverer.cut(reason);
    };
    if (signal.aborted) cut();
    signal.addEventListener('abort', cut);
    await settledOrAborted(this.#measuring, signal);
    await Promise.all([...this.#lanes.values()].map((lanes) => lanes.close(signal)));
    signal.removeEventListener('abort', cut);
    cut();
    await Promise.all([this.#deliverer.close(), this.#asker.close()]);
  }

  #addBrokers(): void {
    for (const registry of this.#options.brokers.list()) {
      const name = nameOf(registry);
      if (this.#lanes.has(name)) continue;
      const lanes = new BrokerLanes(
        { ...this.#options, signers: this.#signers, asker: this.#asker },
        registry,
        this.#deliverer,
        this.#cut.signal,
      );
      this.#lanes.set(name, lanes);
      lanes.start();
    }
  }

  #scheduleMeasuring(): void {
    if (this.#isClosed) return;
    this.#measureTimer = this.#options.clock.setTimer(() => {
      this.#measuring = this.#measure().finally(() => this.#scheduleMeasuring());
    }, measureMs);
  }

  async #measure(): Promise<void> {
    for (const [broker, lanes] of this.#lanes) {
      await lanes.measure().catch((error: unknown) => {
        this.#options.logger.debug({ broker, error: messageOf(error) }, 'lag not measured');
      });
    }
  }
}

/** Lag and backlog are asked of the log this often: as often as Prometheus usually looks. */
const measureMs = 5_000;

function nameOf({ name }: Registry): string {
  return `${name.namespace}/${name.name}`;
}
