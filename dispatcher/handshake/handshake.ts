import type { Logger } from 'pino';
import type { AttemptRate, Trigger } from '../../broker/trigger/trigger.ts';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { shownUrl } from '../../runtime/shown-url.ts';
import { ProbeTimes } from '../limit/probe-times.ts';
import { type Asker, type Permission, perMinuteOf } from './ask.ts';
import type { HandshakeCallbacks } from './callbacks.ts';

export interface HandshakeOptions {
  readonly asker: Pick<Asker, 'ask'>;
  readonly callbacks: HandshakeCallbacks;
  /** Stands for this Posthorn: a DNS name. */
  readonly origin: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** In [0, 1), for the intervals. */
  readonly random: () => number;
}

/**
 * Asks the subscriber of one revision of a trigger until it allows deliveries: at once, then at the intervals of the
 * probes of a breaker.
 */
export class Handshake {
  readonly #options: HandshakeOptions;
  readonly #trigger: Trigger;
  readonly #names: { readonly broker: string; readonly trigger: string; readonly url: string };
  readonly #onGranted: () => void;
  readonly #times = new ProbeTimes();
  readonly #end = new AbortController();
  readonly #callback: ReturnType<HandshakeCallbacks['open']>;
  #timer: Timer | undefined;
  #granted: { readonly rate: AttemptRate | null } | null = null;

  constructor(broker: string, trigger: Trigger, options: HandshakeOptions, onGranted: () => void) {
    this.#options = options;
    this.#trigger = trigger;
    this.#names = { broker, trigger: trigger.name, url: shownUrl(trigger.subscriberUri) };
    this.#onGranted = onGranted;
    this.#callback = options.callbacks.open((rate) => this.#grant(rate, 'by a callback'));
    void this.#ask();
  }

  /** What the subscriber has allowed; null: nothing yet. Its rate: null is any. */
  get granted(): { readonly rate: AttemptRate | null } | null {
    return this.#granted;
  }

  /** Asks no more. Idempotent. */
  close(): void {
    this.#end.abort();
    this.#timer?.cancel();
    this.#callback?.close();
  }

  async #ask(): Promise<void> {
    const { asker, origin } = this.#options;
    const { rate, subscriberUri, delivery } = this.#trigger;
    const question = { origin, perMinute: rate && perMinuteOf(rate), callback: this.#callback?.url ?? null };
    const timeoutMs = Math.min(delivery.timeoutMs, timeoutMaxMs);
    const answer = await asker.ask(subscriberUri, question, timeoutMs, this.#end.signal);
    if (this.#end.signal.aborted || this.#granted !== null) return;
    if (answer.kind === 'granted') this.#grant(answer.rate, 'by its answer');
    else this.#refused(answer);
  }

  #grant(rate: AttemptRate | null, how: string): void {
    this.#granted = { rate };
    this.close();
    const allowedPerMinute = rate === null ? null : rate.attempts;
    this.#options.logger.info({ ...this.#names, how, allowedPerMinute }, 'the subscriber allows deliveries');
    this.#onGranted();
  }

  #refused({ why }: Extract<Permission, { kind: 'refused' }>): void {
    const { clock, logger, random } = this.#options;
    const nowMs = clock.monotonic();
    const delayMs = Math.ceil(this.#times.next(nowMs, random()) - nowMs);
    this.#timer = clock.setTimer(() => void this.#ask(), delayMs);
    const next = new Date(clock.now() + delayMs).toISOString();
    logger.warn(
      { ...this.#names, why, next, ...(this.#callback && { callback: 'may be called at any time' }) },
      'the subscriber has not allowed deliveries (webhook handshake): its events wait, and it is asked again',
    );
  }
}

/** A handshake is no work: who takes longer is as good as away. */
const timeoutMaxMs = 30_000;
