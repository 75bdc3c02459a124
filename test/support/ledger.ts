import { Agent, request } from 'undici';
import { type Sink, startSink } from './sink.ts';

/** Numbered events: which were accepted, and which arrived where how often. */
export class Ledger {
  /** Numbers of the events that were answered 202. */
  readonly accepted = new Set<number>();
  /** How often the event of each number arrived at each sink, by the sink's name. */
  readonly arrivals = new Map<string, Map<number, number>>();

  /** A sink whose arrivals count; a request counts only if it is answered with 2xx. */
  async startSink(name: string, statusOf: (event: number) => number = () => 200): Promise<Sink> {
    const arrivals = new Map<number, number>();
    this.arrivals.set(name, arrivals);
    return startSink((incoming) => {
      const event = Number(incoming.headers['ce-id']);
      incoming.body.fill(0);
      const status = statusOf(event);
      if (status < 300) arrivals.set(event, (arrivals.get(event) ?? 0) + 1);
      return { status };
    });
  }

  missingAt(name: string): number[] {
    const arrivals = this.arrivals.get(name) ?? new Map();
    return [...this.accepted].filter((event) => !arrivals.has(event));
  }

  duplicatesAt(name: string): number {
    let duplicates = 0;
    for (const count of (this.arrivals.get(name) ?? new Map<number, number>()).values()) duplicates += count - 1;
    return duplicates;
  }
}

/**
 * Sends events with the numbers from `first` to `last` to where `url` says at the time, `concurrency` at once. An event
 * that is not answered 202 is sent again, under the same number, until it is or `signal` aborts.
 */
export async function sendNumbered(
  ledger: Ledger,
  range: { readonly first: number; readonly last: number },
  url: () => string,
  options: { readonly concurrency?: number; readonly type?: string; readonly signal?: AbortSignal } = {},
): Promise<void> {
  const { concurrency = 32, type = 'com.example.numbered', signal } = options;
  const agent = new Agent({ connections: concurrency });
  let next = range.first;
  const worker = async (): Promise<void> => {
    while (next <= range.last && !signal?.aborted) {
      const event = next++;
      while (!signal?.aborted && !(await send(agent, url(), event, type))) await pause();
      if (!signal?.aborted) ledger.accepted.add(event);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  await agent.destroy();
}

async function send(agent: Agent, url: string, event: number, type: string): Promise<boolean> {
  try {
    const answer = await request(url, {
      dispatcher: agent,
      method: 'POST',
      headers: {
        'ce-specversion': '1.0',
        'ce-id': String(event),
        'ce-source': '/ledger',
        'ce-type': type,
        'content-type': 'text/plain',
      },
      body: `event ${event}`,
    });
    await answer.body.dump();
    return answer.statusCode === 202;
  } catch {
    return false;
  }
}

/** While no Posthorn listens, a sender that asks again at once would only burn the CPU that the restart needs. */
function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 20);
  });
}
