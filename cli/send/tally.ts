/** How many refusals of one kind are shown by where they stood. */
const samplesMax = 3;

/** Kinds of refusal that are told apart; an answer may quote the event, and then each is a kind of its own. */
const kindsMax = 20;

interface Refusals {
  count: number;
  readonly samples: string[];
}

/** Counts what became of the events that were sent. */
export class Tally {
  accepted = 0;
  refused = 0;
  /** Events that were not sent, or whose sending got no answer at all. */
  unsent = 0;
  /** Whether there are more of those than could be counted. */
  hasMoreUnsent = false;
  readonly #kinds = new Map<string, Refusals>();

  /** @param where `line 3`, `orders/17.json` */
  refuse(where: string, reason: string): void {
    this.refused += 1;
    const kind = this.#kinds.has(reason) || this.#kinds.size < kindsMax ? reason : 'for other reasons';
    const refusals = this.#kinds.get(kind) ?? { count: 0, samples: [] };
    this.#kinds.set(kind, refusals);
    refusals.count += 1;
    if (refusals.samples.length < samplesMax) refusals.samples.push(where);
  }

  /** `1,000 events accepted in 0.4 s (2,500/s), 3 not sent, 2 refused:` and a line for each kind, most frequent first. */
  summary(elapsedMs: number): string {
    const seconds = elapsedMs / 1_000;
    const rate = this.accepted > 1 && seconds > 0 ? ` (${formatCount(this.accepted / seconds)}/s)` : '';
    const events = this.accepted === 1 ? 'event' : 'events';
    const atLeast = this.hasMoreUnsent ? 'at least ' : '';
    const unsent = this.unsent === 0 ? '' : `, ${atLeast}${formatCount(this.unsent)} not sent`;
    const head = `${formatCount(this.accepted)} ${events} accepted in ${seconds.toFixed(1)} s${rate}${unsent}`;
    if (this.refused === 0) return `${head}\n`;
    const kinds = [...this.#kinds].sort(([, a], [, b]) => b.count - a.count);
    const lines = kinds.map(([kind, { count, samples }]) => {
      const more = count > samples.length ? ', …' : '';
      return `  ${formatCount(count)} × ${kind} (${samples.join(', ')}${more})\n`;
    });
    return `${head}, ${formatCount(this.refused)} refused:\n${lines.join('')}`;
  }
}

export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}
