import { closeSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { FaultLedger } from './ledger.ts';
import type { LogLine } from './member.ts';

/** Takes from Posthorn's log lines what the accounts need. */
export class LineNotes {
  /** By message, how often a Posthorn logged an error. */
  readonly errors = new Map<string, number>();
  readonly #ledger: FaultLedger;
  readonly #file: number | null;

  /** @param keep a folder in which all lines are kept, in a file of this name; or null */
  constructor(ledger: FaultLedger, keep: string | null, name: string) {
    this.#ledger = ledger;
    this.#file = keep === null ? null : openSync(path.join(keep, `${name}.log`), 'w');
  }

  take(slot: number, line: LogLine): void {
    const { level, msg, trigger, event, reason } = line;
    if (level === 'error' || level === 'fatal') this.errors.set(String(msg), (this.errors.get(String(msg)) ?? 0) + 1);
    if (msg === 'attempt failed' && String(reason).startsWith('timeout:')) {
      this.#ledger.countTimedOut(String(trigger), Number(event));
    }
    if (this.#file !== null) writeSync(this.#file, `${JSON.stringify({ at: Date.now(), slot, ...line })}\n`);
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
  }
}
