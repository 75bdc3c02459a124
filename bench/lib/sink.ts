import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { SinkCount, SinkQuestion } from './sink-main.ts';

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

  async failKey(key: string | null): Promise<void> {
    await this.#ask({ kind: 'failKey', key });
  }

  async down(server: number, isDown: boolean): Promise<void> {
    await this.#ask({ kind: 'down', server, isDown });
  }

  count(): Promise<SinkCount> {
    return this.#ask({ kind: 'count' });
  }

  async reset(): Promise<void> {
    await this.#ask({ kind: 'reset' });
  }

  /** By server, in milliseconds from `sentms` to the arrival, in the order of arrival. */
  latencies(): Promise<readonly (readonly number[])[]> {
    return this.#ask({ kind: 'latencies' });
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }

  async #ask<Reply>(question: SinkQuestion): Promise<Reply> {
    const reply = once(this.#child, 'message');
    this.#child.send(question);
    return (await reply)[0] as Reply;
  }
}
