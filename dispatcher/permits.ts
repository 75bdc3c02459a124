import type { Logger } from 'pino';
import type { AttemptRate, Trigger } from '../broker/trigger/trigger.ts';
import { Handshake, type HandshakeOptions } from './handshake/handshake.ts';
import type { Signers } from './sign.ts';

/** Whether anything may be sent to a trigger's subscriber. */
export interface Permit {
  /** What is missing: the secret to sign with, or the subscriber's permission; null: nothing. */
  readonly heldBy: 'secret' | 'handshake' | null;
  /** What the subscriber allows; null: no bound. */
  readonly rate: AttemptRate | null;
}

/** What is asked before a trigger's limit lets anything through. */
export interface Permits {
  of(trigger: Trigger): Permit;
}

const free: Permit = { heldBy: null, rate: null };
const withoutSecret: Permit = { heldBy: 'secret', rate: null };
const withoutPermission: Permit = { heldBy: 'handshake', rate: null };

/** For triggers that neither sign nor ask. */
export const allPermitted: Permits = { of: () => free };

export interface SubscriberPermitsOptions extends HandshakeOptions {
  /** `namespace/name`, for log lines. */
  readonly broker: string;
  readonly signers: Signers;
  readonly logger: Logger;
  /** What `of` says has changed. */
  readonly onChange: () => void;
}

/** The permits of a broker's triggers, in this process. */
export class SubscriberPermits implements Permits {
  readonly #options: SubscriberPermitsOptions;
  /** By the trigger's uid, of its revision in force. */
  readonly #handshakes = new Map<string, { readonly generation: number; readonly handshake: Handshake }>();
  /** The revision of a trigger whose secret was told to be missing, by its uid. */
  readonly #told = new Map<string, number>();

  constructor(options: SubscriberPermitsOptions) {
    this.#options = options;
  }

  of({ uid, signWith, webhookHandshake }: Trigger): Permit {
    if (signWith !== null && this.#options.signers.problemOf(signWith) !== null) return withoutSecret;
    if (!webhookHandshake) return free;
    const granted = this.#handshakes.get(uid)?.handshake.granted;
    return granted ? { heldBy: null, rate: granted.rate } : withoutPermission;
  }

  /** The triggers have changed: each new revision that wants it begins to ask. */
  refresh(triggers: ReadonlyMap<string, Trigger>): void {
    for (const trigger of triggers.values()) this.#tellMissing(trigger);
    for (const uid of this.#told.keys()) if (!triggers.has(uid)) this.#told.delete(uid);
    for (const [uid, { handshake }] of this.#handshakes) {
      if (triggers.get(uid)?.webhookHandshake) continue;
      handshake.close();
      this.#handshakes.delete(uid);
    }
    for (const trigger of triggers.values()) if (trigger.webhookHandshake) this.#ask(trigger);
  }

  /** Asks no more. Idempotent. */
  close(): void {
    for (const { handshake } of this.#handshakes.values()) handshake.close();
  }

  #ask(trigger: Trigger): void {
    const { uid, generation } = trigger;
    const known = this.#handshakes.get(uid);
    if (known?.generation === generation) return;
    known?.handshake.close();
    const { broker, onChange } = this.#options;
    this.#handshakes.set(uid, { generation, handshake: new Handshake(broker, trigger, this.#options, onChange) });
  }

  #tellMissing({ uid, name, generation, signWith }: Trigger): void {
    if (signWith === null || this.#told.get(uid) === generation) return;
    const problem = this.#options.signers.problemOf(signWith);
    if (problem === null) return;
    this.#told.set(uid, generation);
    const { broker, logger } = this.#options;
    logger.error(
      { broker, trigger: name, problem },
      'trigger paused: its deliveries are to be signed, and there is no key for that. Its events wait until ' +
        'Posthorn is started with the secret, or the trigger is changed',
    );
  }
}
