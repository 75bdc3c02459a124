import type { Serializable } from 'node:child_process';

/** The end of an IPC channel, as `process` and ChildProcess are. */
export interface ChannelEnd {
  readonly connected: boolean;
  send?(message: Serializable, sent: (error: Error | null) => void): unknown;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  once(event: 'disconnect', listener: () => void): unknown;
}

/** What can be asked over a channel: the question and its answer, by name. */
export type Questions = Readonly<Record<string, { readonly ask: unknown; readonly answer: unknown }>>;

export type Answers<Q extends Questions> = { readonly [N in keyof Q]: (ask: Q[N]['ask']) => Answer<Q, N> };
type Answer<Q extends Questions, N extends keyof Q> = Q[N]['answer'] | Promise<Q[N]['answer']>;

type Message =
  | { readonly id: number; readonly name: string; readonly ask: unknown }
  | { readonly id: number; readonly answer: unknown };

/** Questions and answers between two processes of one command, both ways. */
export class Channel<Theirs extends Questions, Ours extends Questions> {
  readonly #end: ChannelEnd;
  readonly #answers: Answers<Ours>;
  readonly #waiting = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>();
  #lastId = 0;

  /** @param answers what the other side may ask; one that throws ends this process, as any bug does */
  constructor(end: ChannelEnd, answers: Answers<Ours>) {
    this.#end = end;
    this.#answers = answers;
    end.on('message', (message) => void this.#received(message as Message));
    end.once('disconnect', () => {
      for (const { reject } of this.#waiting.values()) reject(goneError());
      this.#waiting.clear();
    });
  }

  /** @throws Error when the other side has gone, or goes before it has answered */
  ask<N extends keyof Theirs & string>(name: N, ask: Theirs[N]['ask']): Promise<Theirs[N]['answer']> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send({ id, name, ask }, () => {
        this.#waiting.delete(id);
        reject(goneError());
      });
    });
  }

  async #received(message: Message): Promise<void> {
    if ('name' in message) {
      const answer = await this.#answers[message.name as keyof Ours](message.ask);
      this.#send({ id: message.id, answer }, () => {});
      return;
    }
    this.#waiting.get(message.id)?.resolve(message.answer);
    this.#waiting.delete(message.id);
  }

  #send(message: Message, failed: () => void): void {
    if (!this.#end.connected) failed();
    else this.#end.send?.(message as Serializable, (error) => error && failed());
  }
}

function goneError(): Error {
  return new Error('the other process has gone');
}
