import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Behaviour, MarksOrder, SinkCount, SinkMark, SinkQuestion } from './sink-main.ts';

/** The subscribers of a benchmark, in a process of their own. Ask one thing at a time. */
export class SinkProcess {
  readonly #child: ChildProcess;
  urls: readonly string[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(servers: number): Promise<SinkProcess> {
    const child = fork(new URL('./sink-main.ts', import.meta.url), { serialization: 'advanced' });
    const sink = new SinkProcess(child);
    const ports = await sink.#ask<readonly number[]>({ kind: 'listen', servers });
    sink.urls = ports.map((port) => `http://127.0.0.1:${port}/`);
    return sink;
  }

  /** Changes how it answers; what is not named stays. */
  async behave(changed: Partial<Behaviour>): Promise<void> {
    await this.#ask({ kind: 'behave', ...changed });
  }

  /** Answers nothing until marks are asked for. */
  async hold(): Promise<void> {
    await this.#ask({ kind: 'hold' });
  }

  async down(server: number, isDown: boolean): Promise<void> {
    await this.#ask({ kind: 'down', server, isDown });
  }

  /** Lets go what is held, and resolves with how it stood at each of the marks when the last is reached. */
  marks(order: MarksOrder): Promise<readonly SinkMark[]> {
    return this.#ask({ kind: 'marks', ...order });
  }

  count(): Promise<SinkCount> {
    return this.#ask({ kind: 'count' });
  }

  /** Of all servers. */
  async total(): Promise<number> {
    return (await this.count()).counts.reduce((sum, count) => sum + count, 0);
  }

  async reset(): Promise<void> {
    await this.#ask({ kind: 'reset' });
  }

  /** By server, in milliseconds from `sentms` to the arrival, in the order of arrival. */
  latencies(): Promise<readonly (readonly number[])[]> {
    return this.#ask({ kind: 'latencies' });
  }

  async stop(): Promise<void> {
    // Not once() of node:events, which rejects where a question of who still asks finds the channel closed.
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.disconnect();
    await exited;
  }

  async #ask<Reply>(question: SinkQuestion): Promise<Reply> {
    const reply = once(this.#child, 'message');
    this.#child.send(question);
    return (await reply)[0] as Reply;
  }
}
