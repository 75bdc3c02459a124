import { Agent, request } from 'undici';
import { type Sink, type SinkAnswer, startSink } from './sink.ts';

/** What arrived of events `KEY-NUMBER` whose numbers count up from 1 within each key. */
export class KeyedArrivals {
  /** By key: the numbers in the order in which they first came. */
  readonly firsts = new Map<string, number[]>();
  /** How many requests there were, repeated ones too. */
  requests = 0;
  /** The most keys that were out at once, and whether one key ever was out twice at once. */
  keysAtOnce = 0;
  overlaps = 0;
  readonly #out = new Map<string, number>();

  /** First arrivals that came before one with a lower number of the same key. */
  get outOfOrder(): number {
    let count = 0;
    for (const numbers of this.firsts.values()) {
      let highest = 0;
      for (const number of numbers) {
        if (number < highest) count++;
        highest = Math.max(highest, number);
      }
    }
    return count;
  }

  /** Different events that arrived. */
  get events(): number {
    let count = 0;
    for (const numbers of this.firsts.values()) count += numbers.length;
    return count;
  }

  /** A sink whose arrivals count, whatever they are answered; each is handled for some time. */
  startSink(
    answer: (key: string, number: number) => SinkAnswer = () => ({}),
    handlingMs: () => number = () => 0,
  ): Promise<Sink> {
    return startSink(async ({ headers }) => {
      const [key = '', text] = String(headers['ce-id']).split('-');
      const number = Number(text);
      this.#began(key, number);
      await new Promise((resolve) => setTimeout(resolve, handlingMs()));
      const out = this.#out.get(key) ?? 1;
      if (out > 1) this.#out.set(key, out - 1);
      else this.#out.delete(key);
      return answer(key, number);
    });
  }

  #began(key: string, number: number): void {
    this.requests++;
    const out = (this.#out.get(key) ?? 0) + 1;
    this.#out.set(key, out);
    if (out > 1) this.overlaps++;
    this.keysAtOnce = Math.max(this.keysAtOnce, this.#out.size);
    const numbers = this.firsts.get(key) ?? [];
    this.firsts.set(key, numbers);
    if (!numbers.includes(number)) numbers.push(number);
  }
}

/**
 * Sends the events of each key one after the other, the keys at once. One that is not answered 202 is sent again until
 * it is, so that its place in the order stays.
 */
export async function sendKeyed(
  keys: readonly string[],
  numbers: { readonly first: number; readonly last: number },
  url: () => string,
  connections = 32,
): Promise<void> {
  const agent = new Agent({ connections });
  const send = async (key: string, number: number): Promise<boolean> => {
    const headers = {
      'ce-specversion': '1.0',
      'ce-id': `${key}-${number}`,
      'ce-source': '/keyed',
      'ce-type': 'com.example.keyed',
      'ce-partitionkey': key,
    };
    try {
      const answer = await request(url(), { dispatcher: agent, method: 'POST', headers });
      await answer.body.dump();
      return answer.statusCode === 202;
    } catch {
      return false;
    }
  };
  const sendAll = async (key: string): Promise<void> => {
    for (let number = numbers.first; number <= numbers.last; number++) {
      while (!(await send(key, number))) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await Promise.all(keys.map(sendAll));
  await agent.destroy();
}
