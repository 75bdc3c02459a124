import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { getCompileCacheDir } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { OnPermission, Permission } from '../../broker/ingress/handshake.ts';
import { type Clock, sleep, type Timer } from '../../runtime/clock.ts';
import { formatShortDuration } from '../../runtime/duration.ts';
import { messageOf } from '../../runtime/errors.ts';
import { Channel } from './channel.ts';
import type { ToFirst, ToWorker } from './questions.ts';
import { countsOf, type MetricObject, readMetrics, sum, textOf } from './sum.ts';

/** A worker that ended by itself is started again after this, twice as long each time that it ends soon again. */
const restartMinMs = 1_000;
const restartMaxMs = 30_000;
/** One that ran for so long has not ended soon. */
const steadyMs = 60_000;

/** Between two looks whether the workers are ready, in milliseconds. */
const readinessMs = 500;
/** A worker that has not answered for so long stands still, and is not waited for: Prometheus gives a page 10 s. */
const answerMs = 5_000;

/** Workers end by the same time as this process, and then still commit and leave their groups, which takes up to 3 s. */
const endGraceMs = 5_000;

export interface WorkerPoolOptions {
  /** How many processes besides this one. */
  readonly count: number;
  /** What stands after `posthorn serve`, which the workers read too. */
  readonly args: readonly string[];
  /** Gives what a subscriber has called with to this process. */
  readonly permission: OnPermission;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Member {
  readonly number: number;
  /** null between its end and its next start. */
  running: { readonly child: ChildProcess; readonly channel: Channel<ToWorker, ToFirst> } | null;
  unready: readonly string[];
  /** As it told last. */
  metrics: readonly MetricObject[];
}

/**
 * The other processes of one `posthorn serve --workers N`. Each accepts events on the same port and delivers as a member
 * of the same consumer groups; this one has the admin port and the triggers directory. One that ends is started again;
 * all end with this process, however that ends.
 */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #members: Member[];
  readonly #stopping = new AbortController();
  /** The counts of workers that have ended. */
  #past: readonly MetricObject[] = [];
  #port: number | null = null;
  #ended: Promise<unknown> = Promise.resolve();

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#members = Array.from({ length: options.count }, (_, index) => ({
      number: index + 2,
      running: null,
      unready: [`worker ${index + 2} is starting`],
      metrics: [],
    }));
  }

  /** @param port on which events are accepted together; null: none are */
  start(port: number | null): void {
    this.#port = port;
    process.once('exit', this.#kill);
    // Each by itself: one that stands still says nothing of the others.
    this.#ended = Promise.all(this.#members.flatMap((member) => [this.#keep(member), this.#watchReadiness(member)]));
  }

  /** Why any of them would not accept or deliver now, as of half a second ago, or longer where one does not answer. */
  unready(): string[] {
    return this.#members.flatMap(({ unready }) => unready);
  }

  /** The metrics of all processes together, in the text format of Prometheus. */
  async metrics(own: Registry): Promise<string> {
    await Promise.all(
      this.#members.map(async (member) => {
        const running = member.running;
        // One that is just ending is among the counts of the past.
        const metrics = await this.#ask(running, 'metrics', undefined);
        if (metrics !== undefined && member.running === running) member.metrics = metrics;
      }),
    );
    const ours = await readMetrics(own);
    return textOf([ours, ...this.#members.map(({ metrics }) => metrics), this.#past]);
  }

  /** Gives what a subscriber has called with to the worker that waits for it. */
  readonly permission = async (key: string, rate: string | null): Promise<Permission> => {
    for (const { running } of this.#members) {
      const answer = await this.#ask(running, 'permission', { key, rate });
      if (answer !== undefined && answer !== 'unknown') return answer;
    }
    return 'unknown';
  };

  /** Tells the workers to end as at a SIGTERM; idempotent. */
  stop(): void {
    this.#stopping.abort();
    for (const { running } of this.#members) if (running?.child.connected) running.child.disconnect();
  }

  /** Resolves when all have ended; those that have not a few seconds after `signal` aborts are killed. */
  async ended(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#options;
    const kill = (): void => {
      for (const { number, running } of this.#members) {
        if (running) logger.error({ worker: number }, `worker ${number} has not ended in time, and is killed`);
      }
      this.#kill();
    };
    let timer: Timer | undefined;
    const abort = (): void => {
      timer = clock.setTimer(kill, endGraceMs);
    };
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    await this.#ended;
    signal.removeEventListener('abort', abort);
    timer?.cancel();
    process.off('exit', this.#kill);
  }

  readonly #kill = (): void => {
    for (const { running } of this.#members) running?.child.kill('SIGKILL');
  };

  /** @returns undefined when the worker has ended, or does not answer in time */
  async #ask<N extends keyof ToWorker>(
    running: Member['running'],
    name: N,
    ask: ToWorker[N]['ask'],
  ): Promise<ToWorker[N]['answer'] | undefined> {
    if (running === null) return undefined;
    const late = Promise.withResolvers<undefined>();
    const timer = this.#options.clock.setTimer(() => late.resolve(undefined), answerMs);
    try {
      return await Promise.race([running.channel.ask(name, ask).catch(() => undefined), late.promise]);
    } finally {
      timer.cancel();
    }
  }

  async #keep(member: Member): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#stopping;
    for (let pauseMs = restartMinMs; !signal.aborted; ) {
      const beganMs = clock.monotonic();
      // No process can be made while there is no memory for it: tried again as one that ended.
      const how = await this.#run(member).catch(messageOf);
      if (signal.aborted) return;
      if (clock.monotonic() - beganMs >= steadyMs) pauseMs = restartMinMs;
      const again = `it is started again in ${formatShortDuration(pauseMs)}`;
      logger.error({ worker: member.number }, `worker ${member.number} has ended (${how}); ${again}`);
      await sleep(clock, pauseMs, signal);
      pauseMs = Math.min(2 * pauseMs, restartMaxMs);
    }
  }

  /** From its start to its end. @returns how it ended */
  async #run(member: Member): Promise<string> {
    const { args, logger } = this.#options;
    const { number } = member;
    const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
    const compiled = getCompileCacheDir();
    const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
      serialization: 'advanced',
      env: { ...process.env, ...(compiled && { NODE_COMPILE_CACHE: compiled }), [workerVariable]: String(number) },
    });
    const exited = once(child, 'exit').then(
      ([code, signal]) => (signal === null ? `exit code ${code}` : String(signal)),
      messageOf,
    );
    child.on('error', (error) => logger.error({ err: error, worker: number }, `worker ${number}: ${error.message}`));
    const channel = new Channel<ToWorker, ToFirst>(child, {
      permission: async ({ key, rate }) => {
        const answer = await this.#options.permission(key, rate);
        return answer === 'unknown' ? this.permission(key, rate) : answer;
      },
    });
    member.running = { child, channel };
    channel.ask('start', { port: this.#port }).then(
      () => logger.info({ worker: number, pid: child.pid }, `worker ${number} is running`),
      () => {},
    );
    const how = await exited;
    member.running = null;
    member.unready = [`worker ${number} has ended`];
    this.#past = sum([this.#past, countsOf(member.metrics)]);
    member.metrics = [];
    return how;
  }

  async #watchReadiness(member: Member): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#askReadiness(member);
      await sleep(this.#options.clock, readinessMs, signal);
    }
  }

  async #askReadiness(member: Member): Promise<void> {
    const { number, running } = member;
    const reasons = await this.#ask(running, 'readiness', undefined);
    if (running === null || member.running !== running) return;
    const given = reasons ?? [`it has not answered for ${formatShortDuration(answerMs)}`];
    member.unready = given.map((reason) => `worker ${number}: ${reason}`);
  }
}

/** The variable by which a worker knows its number. Not one of the settings: nobody else is to set it. */
export const workerVariable = 'NODE_POSTHORN_WORKER';
