import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';
import type { FaultLedger } from './ledger.ts';

export interface SenderOptions {
  readonly ledger: FaultLedger;
  /** Where Posthorn takes events now; empty where none does. */
  readonly urls: () => readonly string[];
  readonly eventsPerSecond: number;
}

export interface Sender {
  /** Begins no more events; resolves when those that it has begun are answered 202. */
  finish(): Promise<void>;
  /** Ends it at once. */
  abort(): void;
}

/** Each sends one event at a time, so that the events of a key, which one sender has alone, are in order. */
const senderCount = 32;
/** Half of the senders send events with a `partitionkey`. */
const keysPerSender = 4;
/** What takes longer is unknown, and is sent again, in milliseconds. */
const answerTimeoutMs = 8_000;
/** Before an event is sent again, in milliseconds: sooner, the refusals take the processor from all else. */
const againMs = 200;

/**
 * Sends numbered events at an even rate to whichever Posthorn takes them. What is not answered 202 is sent again under
 * the same number, by choice to another Posthorn, until it is: what was in the log already is then there twice.
 */
export function startSender({ ledger, urls, eventsPerSecond }: SenderOptions): Sender {
  const agent = new Agent({ connections: senderCount, headersTimeout: answerTimeoutMs, bodyTimeout: answerTimeoutMs });
  const stop = new AbortController();
  const cut = new AbortController();
  const intervalMs = (1_000 * senderCount) / eventsPerSecond;
  let next = 1;
  let turn = 0;

  const work = async (sender: number): Promise<void> => {
    let count = 0;
    let dueMs = performance.now() + (intervalMs * sender) / senderCount;
    while (!stop.signal.aborted) {
      const event = next++;
      const key = sender % 2 === 0 ? null : `key-${sender}-${count++ % keysPerSender}`;
      ledger.sending(event, key);
      while (!(await send(event, key))) {
        if (cut.signal.aborted) return;
        await delay(againMs);
      }
      ledger.accepted(event);
      // A sender that was held up goes on from now: a burst would be a fault of its own.
      dueMs = Math.max(dueMs + intervalMs, performance.now());
      await delay(Math.max(0, dueMs - performance.now()), undefined, { signal: stop.signal }).catch(() => {});
    }
  };

  const send = async (event: number, key: string | null): Promise<boolean> => {
    const targets = urls();
    const url = targets[turn++ % targets.length];
    if (url === undefined) return false;
    try {
      const answer = await request(url, {
        dispatcher: agent,
        signal: cut.signal,
        method: 'POST',
        headers: {
          'ce-specversion': '1.0',
          'ce-id': String(event),
          'ce-source': '/faults',
          'ce-type': 'com.example.fault',
          ...(key !== null && { 'ce-partitionkey': key }),
          'content-type': 'text/plain',
        },
        body: contentOf(event),
      });
      await answer.body.dump();
      return answer.statusCode === 202;
    } catch {
      return false;
    }
  };

  const working = Promise.all(Array.from({ length: senderCount }, (_, sender) => work(sender)));
  return {
    async finish() {
      stop.abort();
      await working;
      await agent.destroy();
    },
    abort() {
      stop.abort();
      cut.abort();
      void agent.destroy();
    },
  };
}

/** What the event with this number holds. */
export function contentOf(event: number): string {
  return `event ${event} ${'.'.repeat(event % 400)}`;
}
