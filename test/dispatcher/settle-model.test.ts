import fc from 'fast-check';
import t from 'tap';
import { metadataMax, Offsets } from '../../dispatcher/settle.ts';
import { propertyRuns } from '../support/property-runs.ts';

/** One partition's offsets beside a plain Set of what was settled, through whatever befalls a partition. */
const numRuns = propertyRuns(150, 10_000);

/** Above this span the settled set of a rejoin, which is of two owners, may be cut. */
const bitmapOffsets = 24_000;

/** A partition: the records that it has, and what its group has committed on it. */
class Partition {
  /** Ascending. */
  records: number[] = [];
  end = 0;
  commit = { offset: 0, metadata: '' };
  /** What the commit says to be settled, of the records. */
  settled: ReadonlySet<number> = new Set();

  append(count: number, gap: number): void {
    for (let i = 0; i < count; i++) {
      // What is missing between records is compacted away or a marker of a transaction.
      this.end += i % 7 === 3 ? gap : 0;
      this.records.push(this.end++);
    }
    this.end += gap;
  }

  compact(every: number): void {
    this.records = this.records.filter((record) => record % every !== 0);
  }

  /** The log loses its end, but nothing below the committed position. */
  truncate(count: number): void {
    this.records = this.records.filter((record) => record < this.commit.offset || record < this.end - count);
    this.end = Math.max(this.commit.offset, this.end - count);
    this.settled = new Set([...this.settled].filter((record) => record < this.end));
  }
}

class Owner {
  readonly #partition: Partition;
  readonly offsets: Offsets;
  readonly settled: Set<number>;
  /** In the order in which they were taken. */
  readonly inFlight: number[] = [];
  #cursor: number;
  hasRejoined = false;

  constructor(partition: Partition) {
    this.#partition = partition;
    const { commit, end, records } = partition;
    this.offsets = new Offsets(commit, end);
    this.settled = new Set(partition.settled);
    // A set that reaches past the end is that of another log: only the position counts.
    const probe = new Offsets(commit, Number.MAX_SAFE_INTEGER);
    if (probe.reachesPast(end)) this.settled = new Set(records.filter((record) => record < commit.offset));
    this.#cursor = commit.offset;
  }

  /** As a reader takes a batch. */
  offer(count: number): void {
    const { records, end } = this.#partition;
    const from = lowerBound(records, this.#cursor);
    const batch = records.slice(from, from + count);
    for (const record of batch) {
      this.offsets.passed(record);
      if (!this.offsets.hasRoomFor(record)) return;
      this.#cursor = record + 1;
      const isKnown = this.settled.has(record) || this.inFlight.includes(record);
      if (this.offsets.take(record) === isKnown) throw new Error(`${record} taken: ${!isKnown}`);
      if (!isKnown) this.inFlight.push(record);
    }
    this.#cursor = records[from + batch.length] ?? end;
    this.offsets.passed(this.#cursor);
  }

  /** @param where in [0, 1]: from the first that was taken to the last */
  settle(count: number, where: number): void {
    for (let i = 0; i < count && this.inFlight.length > 0; i++) {
      const index = Math.round(where * (this.inFlight.length - 1));
      const [record = 0] = this.inFlight.splice(index, 1);
      this.offsets.settle(record);
      this.settled.add(record);
    }
  }

  /** Every n-th of what is in flight: such a set is hardest to pack. */
  settleEvery(nth: number): void {
    const settled = this.inFlight.filter((_, index) => index % nth === 0);
    for (const record of settled) {
      this.offsets.settle(record);
      this.settled.add(record);
    }
    this.inFlight.splice(0, this.inFlight.length, ...this.inFlight.filter((_, index) => index % nth !== 0));
  }

  /** An answer that comes a second time, or for what was never taken. */
  settleLate(record: number): void {
    if (!this.inFlight.includes(record)) this.offsets.settle(record);
  }

  /** Commits; a restart from this must repeat what is unsettled, and nothing else. */
  commit(): void {
    const { records, end } = this.#partition;
    const { offset, metadata } = this.offsets.commit(0);
    if (metadata.length > metadataMax) throw new Error(`metadata of ${metadata.length} characters`);
    const restored = new Offsets({ offset, metadata }, end);
    const settled = new Set<number>();
    for (const record of records) {
      if (record < offset || !restored.take(record)) settled.add(record);
    }
    const lost = records.filter((record) => settled.has(record) && !this.settled.has(record));
    if (lost.length > 0) throw new Error(`forgotten although unsettled: ${lost.slice(0, 10)}`);
    const repeated = records.filter((record) => this.settled.has(record) && !settled.has(record));
    const mayBeCut = this.hasRejoined && end - offset > bitmapOffsets;
    if (repeated.length > 0 && !mayBeCut) throw new Error(`repeated although settled: ${repeated.slice(0, 10)}`);
    this.#partition.commit = { offset, metadata };
    this.#partition.settled = settled;
  }

  rejoin(): void {
    const { commit, end, settled } = this.#partition;
    this.offsets.rejoin(commit, end);
    for (const record of settled) if (!this.inFlight.includes(record)) this.settled.add(record);
    this.#cursor = commit.offset;
    this.hasRejoined = true;
  }
}

function lowerBound(ascending: readonly number[], least: number): number {
  const index = ascending.findIndex((number) => number >= least);
  return index === -1 ? ascending.length : index;
}

const count = fc.oneof(fc.integer({ min: 1, max: 10 }), fc.constantFrom(60, 300, 9_000));
const steps = fc.oneof(
  fc.record({ kind: fc.constant('append' as const), count, gap: fc.constantFrom(0, 0, 1, 5, 400, 30_000) }),
  fc.record({ kind: fc.constant('offer' as const), count }),
  fc.record({ kind: fc.constant('settle' as const), count, where: fc.double({ min: 0, max: 1, noNaN: true }) }),
  fc.record({ kind: fc.constant('settleEvery' as const), nth: fc.integer({ min: 2, max: 130 }) }),
  fc.record({ kind: fc.constant('settleLate' as const), record: fc.nat(500) }),
  fc.record({ kind: fc.constant('compact' as const), every: fc.integer({ min: 3, max: 9 }) }),
  fc.record({ kind: fc.constant('commit' as const) }),
  // A crash, or the partition goes to another and its former owner's answers come too late.
  fc.record({ kind: fc.constant('handOver' as const) }),
  // Another owns the partition for a while, and what the former one has in flight goes on, and ends, meanwhile.
  fc.record({ kind: fc.constant('lend' as const), count, where: fc.constantFrom(0, 0.5, 1) }),
  fc.record({ kind: fc.constant('truncate' as const), count }),
);

t.test('a restart repeats what is not settled and nothing else, whatever happened before', async () => {
  fc.assert(
    fc.property(fc.array(steps, { minLength: 5, maxLength: 60, size: 'max' }), (taken) => {
      const partition = new Partition();
      let owner = new Owner(partition);
      for (const step of taken) {
        switch (step.kind) {
          case 'append':
            if (partition.records.length < 40_000) partition.append(step.count, step.gap);
            break;
          case 'offer':
            owner.offer(step.count);
            break;
          case 'settle':
            owner.settle(step.count, step.where);
            break;
          case 'settleEvery':
            owner.settleEvery(step.nth);
            break;
          case 'settleLate':
            owner.settleLate(step.record);
            break;
          case 'compact':
            partition.compact(step.every);
            break;
          case 'commit':
            owner.commit();
            break;
          case 'handOver':
            owner = new Owner(partition);
            break;
          case 'lend': {
            const other = new Owner(partition);
            other.offer(2 * step.count);
            other.settle(step.count, step.where);
            other.commit();
            owner.settle(step.count, 1 - step.where);
            owner.rejoin();
            break;
          }
          case 'truncate':
            partition.truncate(step.count);
            // As the reader does where the log is shorter than what was seen of it; it commits after each join.
            owner = new Owner(partition);
            owner.commit();
            break;
        }
      }
      owner.commit();
    }),
    { numRuns },
  );
});
