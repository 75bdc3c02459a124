import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Guardian } from '../support/kafka/guardian.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';

export interface MemberOptions {
  /** Counts from 1. */
  readonly slot: number;
  readonly args: readonly string[];
  /** Of libfaketime, which goes by the offset in this file; null: the clock is the machine's. */
  readonly clock: { readonly library: string; readonly file: string } | null;
  readonly guardian: Guardian;
  readonly onLine: (slot: number, line: LogLine) => void;
}

export type LogLine = Readonly<Record<string, unknown>>;

/** One life of a process. */
export interface Life {
  readonly slot: number;
  /** Which life of its slot, from 1. */
  readonly number: number;
  /** Milliseconds since 1970, as all times here. */
  readonly startedAtMs: number;
  endedAtMs: number | null;
  /** `crash`: nobody asked it to end; `failed-start`: it ended before it ran. */
  how: 'kill' | 'leave' | 'crash' | 'failed-start' | null;
  exitCode: number | null;
}

const callFrom = new URL('./call-from.ts', import.meta.url).href;

/** The address from which what a process of a slot sends comes to Kafka. */
export function addressOf(slot: number): string {
  return `127.0.0.${10 + slot}`;
}

/** The address from which a process calls its subscribers: a request may be read long after its sender has ended. */
function callAddressOf({ slot, number }: Pick<Life, 'slot' | 'number'>): string {
  return `127.${10 + slot}.${Math.floor(number / 250)}.${1 + (number % 250)}`;
}

/** Who calls from this address. */
export function callerAt(address: string): Pick<Life, 'slot' | 'number'> {
  const [, slot = 0, high = 0, low = 0] = address.split('.').map(Number);
  return { slot: slot - 10, number: 250 * high + low - 1 };
}

/** The slot of the process that calls from this address. */
export function slotOf(address: string): number {
  return Number(address.split('.')[3]) - 10;
}

/** After a start that failed, and after a crash, in milliseconds. */
const startAgainMs = 1_000;

/** A Posthorn process that is started again, by whoever ended it or by itself when nobody did. */
export class Member {
  readonly slot: number;
  readonly lives: Life[] = [];
  /** What it printed when it ended before it ran. */
  readonly failedStarts: string[] = [];
  readonly #options: MemberOptions;
  #process: PosthornProcess | null = null;
  /** Of the process that does not run yet; 0 for none. */
  #startingPid = 0;
  #isWanted = false;
  #starting: Promise<void> | null = null;
  #isStopped = false;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.slot = options.slot;
    this.setClock(0);
  }

  /** Where it takes events; empty while it does not run. */
  get url(): string {
    return this.#process?.url ?? '';
  }

  get adminUrl(): string {
    return this.#process?.adminUrl ?? '';
  }

  /** Its clock differs from the machine's by so many seconds from now on. */
  setClock(offsetSeconds: number): void {
    const { clock } = this.#options;
    if (clock !== null) writeFileSync(clock.file, `${offsetSeconds < 0 ? '' : '+'}${offsetSeconds}`);
  }

  /** Resolves when it runs, or is wanted no more. Idempotent. */
  start(): Promise<void> {
    this.#isWanted = true;
    this.#starting ??= this.#startUntilItRuns().finally(() => {
      this.#starting = null;
    });
    return this.#starting;
  }

  async #startUntilItRuns(): Promise<void> {
    while (this.#isWanted && this.#process === null) await this.#startOnce();
  }

  /**
   * SIGKILL; resolves when it has ended.
   * @param moment called just before the signal; not called if it does not run
   */
  kill(moment: (life: Life) => void): Promise<void> {
    return this.#end('kill', async (process, life) => {
      life.endedAtMs = Date.now();
      moment(life);
      await process.kill();
    });
  }

  /** SIGTERM; resolves when it has ended. */
  leave(): Promise<void> {
    return this.#end('leave', async (process) => void (await process.stop()));
  }

  pause(): void {
    if (this.#process === null) return;
    this.#isStopped = true;
    this.#process.signal('SIGSTOP');
  }

  resume(): void {
    if (!this.#isStopped) return;
    this.#isStopped = false;
    this.#process?.signal('SIGCONT');
  }

  async #startOnce(): Promise<void> {
    const { args, clock, guardian, onLine, slot } = this.#options;
    // What is told of lost partitions, in an outage of Kafka, is told at the level debug.
    const env: Record<string, string> = { POSTHORN_LOG_FORMAT: 'json', POSTHORN_LOG_LEVEL: 'debug' };
    if (clock !== null) Object.assign(env, fakeTime(clock));
    const number = this.lives.length + 1;
    const life: Life = { slot, number, startedAtMs: Date.now(), endedAtMs: null, how: null, exitCode: null };
    env.CALL_FROM = callAddressOf(life);
    this.lives.push(life);
    try {
      this.#process = await startPosthorn(args, env, {
        onSpawn: (pid) => {
          this.#startingPid = pid;
          guardian.watch(`process ${pid}`);
        },
        onLine: (line) => {
          onLine(slot, line);
          return false;
        },
        nodeArgs: ['--import', callFrom],
        awaitsReady: false,
      });
    } catch (error) {
      guardian.forget(`process ${this.#startingPid}`);
      this.#startingPid = 0;
      life.how = 'failed-start';
      life.endedAtMs = Date.now();
      this.failedStarts.push(error instanceof Error ? error.message : String(error));
      await delay(startAgainMs);
      return;
    }
    this.#startingPid = 0;
    void this.#watch(this.#process, life);
  }

  async #watch(running: PosthornProcess, life: Life): Promise<void> {
    life.exitCode = await running.exited;
    life.endedAtMs ??= Date.now();
    life.how ??= 'crash';
    this.#options.guardian.forget(`process ${running.pid}`);
    if (this.#process === running) this.#process = null;
    if (life.how !== 'crash') return;
    await delay(startAgainMs);
    if (this.#isWanted) await this.start();
  }

  async #end(how: 'kill' | 'leave', end: (process: PosthornProcess, life: Life) => Promise<void>): Promise<void> {
    this.#isWanted = false;
    // One that is still starting ends that way too, and counts as a start that failed.
    if (how === 'kill' && this.#process === null && this.#startingPid !== 0) process.kill(this.#startingPid, 'SIGKILL');
    await this.#starting;
    this.resume();
    const running = this.#process;
    const life = this.lives.at(-1);
    if (running === null || life === undefined) return;
    life.how ??= how;
    this.#process = null;
    await end(running, life);
  }
}

/** The environment in which a program sees the wall clock that the file says; timers and the monotonic clock stay. */
function fakeTime({ library, file }: { library: string; file: string }): Record<string, string> {
  return {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    FAKETIME_DONT_RESET: '1',
  };
}
