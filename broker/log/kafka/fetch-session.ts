import type { PartitionQuestion } from './cluster.ts';

export interface FetchPosition extends PartitionQuestion {
  readonly offset: number;
}

/** What one fetch tells of a session. */
export interface SessionQuestion {
  readonly sessionId: number;
  /** 0 opens a session, and names all that is wanted. */
  readonly sessionEpoch: number;
  readonly changed: readonly FetchPosition[];
  readonly forgotten: readonly PartitionQuestion[];
}

/**
 * What a broker remembers of the fetches of one reader, so that each names only what is new since the last, and is
 * answered only of what has something to tell (KIP-227, incremental fetch requests). Of a thousand partitions that are
 * idle question and answer are some bytes, not 50 KB.
 */
export class FetchSession {
  #id = 0;
  #epoch = 0;
  /** By partition, as the broker knows it; `seen` counts the questions. */
  readonly #known = new Map<string, { position: FetchPosition; seen: number }>();
  #questions = 0;

  /** @param positions all that is wanted, by a key of each */
  next(positions: ReadonlyMap<string, FetchPosition>): SessionQuestion {
    if (this.#epoch === 0) this.#known.clear();
    const seen = ++this.#questions;
    const changed: FetchPosition[] = [];
    for (const [key, position] of positions) {
      const known = this.#known.get(key);
      if (known?.position.offset !== position.offset) changed.push(position);
      if (known === undefined) this.#known.set(key, { position, seen });
      else {
        known.position = position;
        known.seen = seen;
      }
    }
    const forgotten: PartitionQuestion[] = [];
    if (this.#known.size > positions.size) {
      for (const [key, known] of this.#known) {
        if (known.seen === seen) continue;
        this.#known.delete(key);
        forgotten.push(known.position);
      }
    }
    return { sessionId: this.#id, sessionEpoch: this.#epoch, changed, forgotten };
  }

  /** @param id of the session, as the answer has it; 0: the broker has room for no more, and remembers nothing */
  answered(id: number): void {
    this.#id = id;
    this.#epoch = id === 0 ? 0 : epochAfter(this.#epoch);
  }

  /** What the broker has understood is not known: the next question opens a session again, in place of this one. */
  lost(): void {
    this.#epoch = 0;
  }
}

/** The number of the next question of a session: 1 follows the last that 32 bits hold. Pure. */
export function epochAfter(epoch: number): number {
  return (epoch % 2_147_483_647) + 1;
}
