import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Guard } from './guard.ts';

export interface ProcessSpec {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** SIGINT, not SIGTERM, lets `go run` remove what it built. */
  readonly stopSignal: 'SIGINT' | 'SIGTERM';
  /** A line of its stdout or stderr. */
  readonly onLine: (line: string) => void;
  /** It ended by itself: `exit code 1`, `SIGSEGV`. */
  readonly onEnd: (how: string) => void;
}

/** A process that has not ended this long after it was asked to is killed; Posthorn drains deliveries meanwhile. */
const stopTimeoutMs = 15_000;

/**
 * Processes that are started and stopped together, each the leader of a group of its own: so Ctrl-C reaches none of
 * them behind our back, and what we signal reaches what they started in turn. If this process is killed, a guard ends
 * them.
 */
export class Processes {
  /** A folder for what they need no longer than they run; it is removed at the end. */
  readonly temporary = mkdtempSync(path.join(tmpdir(), 'posthorn-example-'));
  readonly #guard = new Guard(this.temporary);
  readonly #running: { readonly child: ChildProcess; readonly stopSignal: NodeJS.Signals }[] = [];
  #stopping = false;

  start({ command, args, env, stopSignal, onLine, onEnd }: ProcessSpec): void {
    const child = spawn(command, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    // What a runtime has to say about being interrupted helps nobody.
    const unlessStopping = (tell: (text: string) => void) => (text: string) => {
      if (!this.#stopping) tell(text);
    };
    const ended = unlessStopping(onEnd);
    child.once('error', (error) => ended(error.message));
    child.once('exit', (code, signal) => ended(signal ?? `exit code ${code}`));
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', unlessStopping(onLine));
    }
    if (child.pid !== undefined) this.#guard.watch(child.pid);
    this.#running.push({ child, stopSignal });
  }

  /** Asks the processes to end, the last started first, and waits for each. Idempotent. */
  async stop(): Promise<void> {
    this.#stopping = true;
    for (let last = this.#running.at(-1); last !== undefined; last = this.#running.at(-1)) {
      await stopGroup(last.child, last.stopSignal);
      this.#running.pop();
    }
    rmSync(this.temporary, { recursive: true, force: true });
    await this.#guard.release();
  }

  /** Ends them all at once. */
  kill(): void {
    this.#stopping = true;
    for (const { child } of this.#running) signalGroup(child, 'SIGKILL');
    rmSync(this.temporary, { recursive: true, force: true });
    this.#guard.kill();
  }
}

async function stopGroup(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    const exit = new AbortController();
    child.once('exit', () => exit.abort());
    signalGroup(child, signal);
    await delay(stopTimeoutMs, undefined, { signal: exit.signal }).catch(() => {});
  }
  signalGroup(child, 'SIGKILL');
  if (child.pid !== undefined && child.stdout?.closed === false) await once(child, 'close');
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is gone.
  }
}
