import type { Guardian } from '../support/kafka/guardian.ts';
import type { Exposure, Kill } from './account.ts';
import type { FaultName } from './catalog.ts';
import type { FaultLedger } from './ledger.ts';
import type { Life, LogLine, Member } from './member.ts';
import type { Step } from './schedule.ts';

/** A log with the Posthorns on it, and what can be done to them. */
export interface Stage {
  /** Those that run all the time. */
  readonly members: readonly Member[];
  /** Those that come and go. */
  readonly guests: readonly Member[];
  readonly actions: Actions;
  /** Mends whatever is broken. */
  heal(): Promise<void>;
  /**
   * Whether events that have not arrived never will: they are dead letters, or Posthorn has nothing left to do.
   * @param outstanding by trigger
   */
  isDone(outstanding: ReadonlyMap<string, readonly number[]>): Promise<boolean>;
  /** Once all members have ended. */
  remains(): Promise<Remains>;
  /** Ends what it has started. Idempotent. */
  close(): Promise<void>;
}

/** Begins a fault; the one who called ends it. */
export type Action = (step: Step) => Promise<Trouble>;

export type Actions = Partial<Record<FaultName, Action>>;

export interface Trouble {
  /** Whom it hits, and how hard. */
  readonly what: string;
  end(): Promise<void> | void;
}

/** What the log holds in the end. */
export interface Remains {
  /** The events topic: for each partition the numbers of its events, in order. */
  readonly appended: readonly (readonly number[])[];
  /** By trigger, the events in the dead-letter topic. */
  readonly deadLettered: ReadonlyMap<string, ReadonlySet<number>>;
  readonly exposures: readonly Exposure[];
  /** What became of consumer groups, a line each that begins with the time; for who looks for what went wrong. */
  readonly history: readonly string[];
  /** As in Evidence, and the next one. */
  readonly retried: ReadonlyMap<string, ReadonlyMap<number, number>>;
  readonly retriesTwice: ReadonlyMap<string, ReadonlyMap<number, number>>;
}

export interface StageOptions {
  /** A folder of its own; the guardian removes it. */
  readonly directory: string;
  readonly guardian: Guardian;
  readonly ledger: FaultLedger;
  readonly triggers: readonly FaultTrigger[];
  /** The path of libfaketime, or null where clocks don't jump. */
  readonly fakeTime: string | null;
  readonly onLine: (slot: number, line: LogLine) => void;
  readonly onKill: (kill: Kill) => void;
}

export interface FaultTrigger {
  readonly name: string;
  readonly lane: 'shared' | 'own' | 'ordered';
}

/** One of `count`, by a random number in [0, 1). */
export function pick(dice: number, count: number): number {
  return Math.floor(dice * count);
}

/** All lives of these members, in the order of their starts. */
export function livesOf(members: readonly Member[]): Life[] {
  return members.flatMap((member) => member.lives).sort((a, b) => a.startedAtMs - b.startedAtMs);
}
