import type { Logger } from 'pino';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/errors.ts';
import { TriggerTree } from '../filter/index/trigger-tree.ts';
import { TriggerIndex } from '../filter/trigger-index.ts';
import { isOutage, LogUnavailableError } from '../log/errors.ts';
import type { Log } from '../log/log.ts';
import { type BrokerTopics, brokerTopics } from '../topics.ts';
import { emptyState, fold, type RegistryState } from './registry-state.ts';
import type { Broker, BrokerName, Trigger } from './trigger.ts';

/**
 * How long a check of the registry's end vouches for what was read up to it. An apply returns no sooner than this
 * after its append, so every event that is accepted later meets the new revision in every process.
 *
 * begun at 0 s, done at 0.01 s, next at 1 s: fresh without a break while a check takes less than 2 s
 */
export const registryFreshMs = 3_000;

/** How often the end of the registry is asked for where other processes can write to it. */
const checkEveryMs = 1_000;

/** After a failed check: 250 ms, 500 ms, 1 s, 2 s, 4 s, 5 s, 5 s … */
const checkAgainMinMs = 250;
const checkAgainMaxMs = 5_000;

const readMaxBytes = 1_048_576;

/** The triggers of one broker, as the dispatcher and the ingress see them. */
export interface Registry {
  readonly name: BrokerName;
  /** The triggers in force. Immutable: after a change it is another object. */
  snapshot(): RegistrySnapshot;
  /** The names of the broker's topics; an external events topic included. */
  topics(): BrokerTopics;
  /** Whether the snapshot holds every revision that was in the log `registryFreshMs` ago. */
  isFresh(): boolean;
  /** Resolves once it is fresh. Rejects with the signal's reason, or with LogUnavailableError when it closes. */
  whenFresh(signal?: AbortSignal): Promise<void>;
  /** Resolves once everything that is in the log now is in the snapshot. Rejects as `whenFresh`. */
  refresh(signal?: AbortSignal): Promise<void>;
  /** Calls the listener after each change of the snapshot, and of nothing else. Returns what removes it. */
  onChange(listener: () => void): () => void;
  /** What is stored, for showing it: manifests, owners, times. */
  stored(): RegistryState;
}

export interface RegistrySnapshot {
  /** Null while no Broker manifest was applied: then the defaults hold. */
  readonly broker: Broker | null;
  /** By uid. */
  readonly triggers: ReadonlyMap<string, Trigger>;
  /** Over `triggers`; made of the one before it when it is first asked something. */
  readonly index: TriggerIndex;
  /** Uids of triggers that exist but of which this version of Posthorn can read no revision. */
  readonly unreadable: ReadonlySet<string>;
  /** Uids of deleted triggers whose backlog is to be dropped, not dead-lettered. */
  readonly discarded: ReadonlySet<string>;
}

export interface RegistryOptions {
  readonly log: Log;
  readonly prefix: string;
  readonly name: BrokerName;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Waiter {
  readonly ready: () => boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Reads the registry topic of a broker and keeps up with it. */
export class RegistryReader implements Registry {
  readonly name: BrokerName;
  readonly #log: Log;
  readonly #prefix: string;
  readonly #topic: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #listeners = new Set<() => void>();
  readonly #waiters = new Set<Waiter>();
  /** Of the snapshots' indexes. */
  readonly #tree = new TriggerTree();
  #state: RegistryState;
  #snapshot: RegistrySnapshot | null = null;
  #position = 0;
  /** On the monotonic clock. */
  #freshUntilMs = Number.NEGATIVE_INFINITY;
  /** Checks are numbered from 1: the last that began, and the last that is applied in full. */
  #begun = 0;
  #applied = 0;
  #failures = 0;
  #isFailureTold = false;
  #checks: Promise<void> = Promise.resolve();
  #timer: Timer | null = null;
  #closed = false;

  constructor({ log, prefix, name, clock, logger }: RegistryOptions) {
    this.name = name;
    this.#log = log;
    this.#prefix = prefix;
    this.#topic = brokerTopics(prefix, name).triggers;
    this.#clock = clock;
    this.#logger = logger.child({ broker: `${name.namespace}/${name.name}`, topic: this.#topic });
    this.#state = emptyState(name);
  }

  /**
   * Reads to the end of the registry as it stands now, and from then on keeps up.
   * @throws whatever the log throws; it may be called again
   */
  async start(): Promise<void> {
    await this.#check();
    this.#schedule();
  }

  /** Resolves once a check that began after this call is applied; failing checks are repeated. Rejects as whenFresh. */
  refresh(signal?: AbortSignal): Promise<void> {
    const before = this.#begun;
    this.#enqueueCheck();
    return this.#wait(() => this.#applied > before, signal);
  }

  snapshot(): RegistrySnapshot {
    this.#snapshot ??= snapshotOf(this.#state, this.#tree);
    return this.#snapshot;
  }

  topics(): BrokerTopics {
    return brokerTopics(this.#prefix, this.name, this.#state.broker?.broker?.externalTopics);
  }

  stored(): RegistryState {
    return this.#state;
  }

  isFresh(): boolean {
    return this.#clock.monotonic() < this.#freshUntilMs;
  }

  whenFresh(signal?: AbortSignal): Promise<void> {
    return this.isFresh() ? Promise.resolve() : this.#wait(() => this.isFresh(), signal);
  }

  #wait(ready: () => boolean, signal?: AbortSignal): Promise<void> {
    if (this.#closed) return Promise.reject(this.#closedError());
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const settle = (): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', aborted);
      };
      const aborted = (): void => waiter.reject(signal?.reason);
      const waiter: Waiter = {
        ready,
        resolve() {
          settle();
          resolve();
        },
        reject(error) {
          settle();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', aborted);
    });
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Stops reading; what was read stays. A call on the log that is on its way has no effect any more. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = null;
    for (const waiter of this.#waiters) waiter.reject(this.#closedError());
    this.#listeners.clear();
  }

  /** Checks run one after the other, so that each begins after the call that asked for it. */
  #enqueueCheck(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#checks = this.#checks.then(async () => {
      if (this.#closed) return;
      try {
        await this.#check();
        this.#recovered();
      } catch (error) {
        this.#failed(error);
      }
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    this.#timer = null;
    const again = this.#failures > 0 ? checkAgainMs(this.#failures) : checkEveryMs;
    if (this.#failures === 0 && !this.#log.sharedByProcesses) return;
    this.#timer = this.#clock.setTimer(() => this.#enqueueCheck(), again);
  }

  async #check(): Promise<void> {
    const check = ++this.#begun;
    const beganMs = this.#clock.monotonic();
    const end = (await this.#log.ends(this.#topic)).find(({ partition }) => partition === 0)?.offset;
    if (end === undefined) throw new LogUnavailableError(`${this.#topic} has no partition 0`);
    if (end < this.#position) {
      throw new LogUnavailableError(
        `${this.#topic} ends at ${end} but was read up to ${this.#position}: revisions are lost; restart to go on with what is left`,
      );
    }
    while (this.#position < end && !this.#closed) await this.#read();
    // What no other process can write stays current until this one appends again.
    this.#freshUntilMs = this.#log.sharedByProcesses ? beganMs + registryFreshMs : Number.POSITIVE_INFINITY;
    this.#applied = check;
    for (const waiter of this.#waiters) if (waiter.ready()) waiter.resolve();
  }

  async #read(): Promise<void> {
    const { records, nextOffset } = await this.#log.read(this.#topic, 0, this.#position, readMaxBytes);
    if (nextOffset <= this.#position)
      throw new LogUnavailableError(`${this.#topic} answers nothing at ${this.#position}`);
    if (this.#closed) return;
    const { state, remarks } = fold(this.#state, records);
    this.#position = nextOffset;
    for (const { offset, key, message } of remarks) this.#logger.warn({ offset, key }, `registry: ${key} ${message}`);
    if (state === this.#state) return;
    this.#state = state;
    this.#snapshot = null;
    for (const listener of this.#listeners) listener();
  }

  #failed(error: unknown): void {
    if (this.#closed) return;
    this.#failures++;
    if (!this.#log.sharedByProcesses) this.#freshUntilMs = Number.NEGATIVE_INFINITY;
    if (this.#isFailureTold || isOutage(error)) return;
    this.#isFailureTold = true;
    this.#logger.error({ err: error }, `registry can't be read, trying on: ${messageOf(error)}`);
  }

  #recovered(): void {
    if (this.#isFailureTold) this.#logger.info({ failures: this.#failures }, 'registry is read again');
    this.#isFailureTold = false;
    this.#failures = 0;
  }

  #closedError(): LogUnavailableError {
    return new LogUnavailableError(`the registry of ${this.name.namespace}/${this.name.name} is closed`);
  }
}

function checkAgainMs(failures: number): number {
  return Math.min(checkAgainMinMs * 2 ** (failures - 1), checkAgainMaxMs);
}

function snapshotOf(state: RegistryState, tree: TriggerTree): RegistrySnapshot {
  const triggers = new Map<string, Trigger>();
  const unreadable = new Set<string>();
  for (const { uid, trigger } of state.triggers.values()) {
    if (trigger === null) unreadable.add(uid);
    else triggers.set(uid, trigger);
  }
  return {
    broker: state.broker?.broker ?? null,
    triggers,
    unreadable,
    discarded: state.discarded,
    index: new TriggerIndex(triggers, tree),
  };
}
