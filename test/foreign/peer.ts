import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { guard } from '../support/kafka/guardian.ts';
import { until } from '../support/until.ts';
import type { EventToMake } from './cases.ts';
import type { Program } from './toolchains.ts';

/** An event as an SDK reads it. */
export interface Told {
  /** In canonical form, `datacontenttype` among them. */
  readonly attributes: Readonly<Record<string, string>>;
  /** By what the SDK hands its user: bytes (in base64), a text, or a value that was JSON. */
  readonly data: { readonly bytes: string } | { readonly text: string } | { readonly json: unknown } | null;
}

/** What an SDK could not read. */
export interface Failed {
  readonly id: string;
  readonly error: string;
}

export type Mode = 'binary' | 'structured' | 'batch';

/** Where the events topic is. */
export interface Topic {
  readonly brokers: string;
  readonly topic: string;
}

/** What became of each event of an order: the status of the answer, `produced`, or the SDK's error. */
export type Outcomes = readonly (number | string)[];

/**
 * A program that uses the SDK of its language. It takes orders from its input, a line of JSON each, and answers each
 * with a line `{"done": …}`; it has an HTTP server on the port that its first line says, which answers with an event;
 * and it tells what it receives there and reads from the topic by lines of their own. It ends when its input ends.
 */
export class Peer {
  /** What its HTTP server got, by the path that it was sent to. */
  readonly received: { readonly to: string; readonly received: Told | Failed }[] = [];
  /** What it read from the topic. */
  readonly read: (Told | Failed)[] = [];
  readonly #child;
  readonly #exited: Promise<unknown>;
  readonly #answers: Outcomes[] = [];
  #port = 0;
  #ended = false;
  #rest = '';

  constructor({ command, args, env }: Program) {
    // Without the modules that tap loads into every process.
    this.#child = spawn(command, args, {
      env: { ...process.env, NODE_OPTIONS: '', TZ: 'UTC', PYTHONDONTWRITEBYTECODE: '1', ...env },
      stdio: 'pipe',
    });
    const child = this.#child;
    if (child.pid !== undefined) child.once('exit', guard(`process ${child.pid}`));
    child.stderr.on('data', (chunk) => (this.#rest += String(chunk)));
    child.stdin.on('error', () => {});
    createInterface({ input: child.stdout }).on('line', (line) => this.#take(line));
    this.#exited = once(child, 'close').then(
      () => (this.#ended = true),
      (error) => {
        this.#ended = true;
        this.#rest += String(error);
      },
    );
  }

  /** Resolves with the URL of its HTTP server when that takes connections. */
  async url(): Promise<string> {
    await this.#unlessEnded(() => this.#port !== 0, 'it to start');
    return `http://127.0.0.1:${this.#port}`;
  }

  post(url: string, mode: Mode, events: readonly EventToMake[]): Promise<Outcomes> {
    return this.#order({ command: 'post', url, mode, events });
  }

  produce(topic: Topic, mode: Mode, events: readonly EventToMake[]): Promise<Outcomes> {
    return this.#order({ command: 'produce', ...topic, mode, events });
  }

  /** Begins to read the topic from its beginning. */
  async consume(topic: Topic, group: string): Promise<void> {
    await this.#order({ command: 'consume', ...topic, group });
  }

  /** From now on it answers events with this one, its id followed by the path and the id of what it got. */
  async replyWith(event: EventToMake): Promise<void> {
    await this.#order({ command: 'reply', event });
  }

  /** Waits until it has told enough. */
  async until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    await this.#unlessEnded(condition, what);
  }

  async stop(): Promise<void> {
    this.#child.stdin.end();
    this.#child.kill('SIGTERM');
    await this.#exited;
  }

  async #order(order: object): Promise<Outcomes> {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    await this.#unlessEnded(() => this.#answers.length > 0, `its answer to ${JSON.stringify(order).slice(0, 100)}`);
    return this.#answers.shift() ?? [];
  }

  #take(line: string): void {
    const said = line.startsWith('{') ? JSON.parse(line) : {};
    if (typeof said.port === 'number') this.#port = said.port;
    else if (said.done !== undefined) this.#answers.push(said.done);
    else if (said.received !== undefined) this.received.push(said);
    else if (said.read !== undefined) this.read.push(said.read);
    else this.#rest += `${line}\n`;
  }

  /** @throws Error with what it printed besides, if it ends or takes longer than a minute */
  async #unlessEnded(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    try {
      await until(async () => this.#ended || (await condition()), what, 60_000);
      if (await condition()) return;
    } catch (error) {
      throw new Error(`${String(error)}; it printed: ${this.#rest}`);
    }
    throw new Error(`it ended, while waiting for ${what}: ${this.#rest}`);
  }
}
