import TinyQueue from 'tinyqueue';
import type { RetryItem } from '../retry.ts';
import type { TakenRecord } from './taken-record.ts';

export interface WaitingItem {
  readonly item: RetryItem;
  readonly taken: TakenRecord;
  readonly dueAtMs: number;
}

/** What waits in a retry topic for one who is called, in order of due time. */
export class WaitingTopic {
  readonly topic: string;
  /** Whether the first waits for room at its trigger, or for the registry. */
  isBlocked = false;
  /** One function for as long as the topic has anything that waits, so that whoever is to call it has it once. */
  readonly unblock: () => void;
  #queue = queueOf([]);

  constructor(topic: string, onUnblock: (waiting: WaitingTopic) => void) {
    this.topic = topic;
    this.unblock = () => onUnblock(this);
  }

  /** In no order. */
  get items(): readonly WaitingItem[] {
    return this.#queue.data;
  }

  get first(): WaitingItem | undefined {
    return this.#queue.peek();
  }

  push(item: WaitingItem): void {
    this.#queue.push(item);
  }

  /** Of the same trigger and due, the one with the fewest attempts; of several the first. */
  fewestAttempts(first: WaitingItem, nowMs: number): WaitingItem {
    let best = first;
    for (const one of this.items) {
      if (one.dueAtMs > nowMs || one.item.triggerUid !== first.item.triggerUid) continue;
      const fewer = one.item.attempt - best.item.attempt;
      if (fewer < 0 || (fewer === 0 && orderOf(one, best) < 0)) best = one;
    }
    return best;
  }

  remove(item: WaitingItem): void {
    if (item === this.#queue.peek()) this.#queue.pop();
    else this.replace(this.items.filter((one) => one !== item));
  }

  replace(items: WaitingItem[]): void {
    this.#queue = queueOf(items);
  }
}

function queueOf(items: WaitingItem[]): TinyQueue<WaitingItem> {
  return new TinyQueue(items, orderOf);
}

/** Negative where the first is to go out before the other. */
function orderOf(a: WaitingItem, b: WaitingItem): number {
  return a.dueAtMs - b.dueAtMs || a.taken.record.offset - b.taken.record.offset;
}
