import type { Commit } from '../broker/log/log.ts';
import { AscendingSet } from './ascending-set.ts';

/**
 * What of one partition is settled. Pure: values in, values out.
 *
 *     position          next
 *        |                |
 *   ...sss u s s u u s s s  ......      s settled, u unsettled (in flight, or restored and to be offered again)
 *
 * Everything below `position` is settled, nothing at or above `next` was seen. Between the two lies the settled set,
 * which is committed as metadata beside the position, so that a restart repeats only what was in flight. An offset
 * that the log doesn't have (compaction, transaction markers) counts as settled.
 */
export class Offsets {
  /** Unsettled and being delivered. */
  readonly #inFlight = new AscendingSet();
  /** Unsettled by the restored set, not offered yet. */
  #restored: AscendingSet;
  #next: number;

  /** @param committed where the log's owner left off; `end` is the end of the log: a set that reaches past it is dropped. */
  constructor(committed: { readonly offset: number; readonly metadata: string }, end: number) {
    const state = restore(committed, end);
    this.#next = state.next;
    this.#restored = new AscendingSet(state.unsettled);
  }

  /** The lowest offset that is not settled: what is committed. */
  get position(): number {
    return Math.min(this.#inFlight.first ?? this.#next, this.#restored.first ?? this.#next);
  }

  /** Whether all that was seen of the log is settled. */
  get isSettled(): boolean {
    return this.position === this.#next;
  }

  /** How many records are being delivered. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /**
   * Whether the record at `offset` may be taken such that the settled set is sure to fit the commit's metadata, however
   * the records settle: a bitmap holds any set over `bitmapOffsetsMax` offsets, and runs hold any set with up to
   * `runsUnsettledMax` unsettled offsets. One that was seen before takes no more room.
   */
  hasRoomFor(offset: number): boolean {
    return (
      offset < this.#next ||
      offset - this.position < bitmapOffsetsMax ||
      this.#inFlight.size + this.#restored.size < runsUnsettledMax
    );
  }

  /** Whether the log is shorter than what was seen of it: it lost records, and others have their offsets now. */
  reachesPast(end: number): boolean {
    return this.#next > end;
  }

  /**
   * Takes a record that the log offers; all below it have been offered. False if it is settled or in flight already,
   * so not to be delivered again.
   */
  take(offset: number): boolean {
    this.#forgetBelow(offset);
    if (offset >= this.#next) this.#next = offset + 1;
    else if (!this.#restored.delete(offset)) return false;
    this.#inFlight.add(offset);
    return true;
  }

  /** All records below `offset` have been offered. */
  passed(offset: number): void {
    this.#forgetBelow(offset);
    if (offset > this.#next) this.#next = offset;
  }

  /** What was not offered although what comes after it was is gone from the log, so settled. */
  #forgetBelow(offset: number): void {
    for (let gone = this.#restored.first; gone !== undefined && gone < offset; gone = this.#restored.first) {
      this.#restored.delete(gone);
    }
  }

  settle(offset: number): void {
    this.#inFlight.delete(offset);
  }

  /**
   * The partition was assigned again to whom it belonged, and is offered from the committed position on. Another owner
   * may have committed in between: what it settled is settled; what is in flight here goes on.
   */
  rejoin(committed: { readonly offset: number; readonly metadata: string }, end: number): void {
    const other = restore(committed, end);
    const unsettledThere = new Set(other.unsettled);
    const mine = this.#restored.ascending().filter((offset) => offset >= other.next || unsettledThere.has(offset));
    const theirs = other.unsettled.filter((offset) => offset >= this.#next);
    this.#restored = new AscendingSet([...mine, ...theirs]);
    this.#next = Math.max(this.#next, other.next);
  }

  /** What to commit: the position, and the settled set above it. */
  commit(partition: number): Commit {
    const position = this.position;
    const unsettled = merged(this.#inFlight.ascending(), this.#restored.ascending());
    return { partition, offset: position, metadata: encodeSettled(position, unsettled, this.#next) };
  }
}

/** Both in one, ascending. */
function merged(a: readonly number[], b: readonly number[]): readonly number[] {
  if (b.length === 0) return a;
  return a.length === 0 ? b : [...a, ...b].sort((one, other) => one - other);
}

/** Kafka's default offset.metadata.max.bytes. */
export const metadataMax = 4_096;
/** 24,000 offsets are 4,000 base64 characters of 4,096, the format's name left room. */
const bitmapOffsetsMax = 24_000;
/** 200 unsettled offsets are at most 401 runs; of 8 characters and a separator each they would be 3,609 of 4,096. */
const runsUnsettledMax = 200;

/**
 * The settled set above `position` as commit metadata, `''` if there is none. Two packings, the shorter wins:
 * - `r1:` runs: lengths in base 36, joined by `.`, first of the unsettled offsets at the position, then of settled
 *   ones, and so on in turn; the last run is of settled offsets.
 * - `b1:` bitmap: base64, from the position on, most significant bit first, 1 is settled.
 * What is left out at the end counts as unsettled, so a set that is cut to fit repeats records and loses none.
 *
 * @param unsettled ascending, the first is `position` (or none)
 * @param next the offset after the highest one seen
 */
export function encodeSettled(position: number, unsettled: readonly number[], next: number): string {
  const runs: string[] = [];
  let end = position;
  let runStart = position;
  for (const offset of unsettled) {
    if (offset > end) {
      runs.push((end - runStart).toString(36), (offset - end).toString(36));
      runStart = offset;
    }
    end = offset + 1;
  }
  if (next > end) runs.push((end - runStart).toString(36), (next - end).toString(36));
  if (runs.length === 0) return '';
  const asRuns = `r1:${runs.join('.')}`;
  // The settled offsets end at `next`, or where the last unsettled run begins.
  const span = (next > end ? next : runStart) - position;
  const bitmapLength = 3 + Math.ceil((Math.ceil(Math.min(span, bitmapOffsetsMax) / 8) * 4) / 3);
  if (asRuns.length <= Math.min(bitmapLength, metadataMax)) return asRuns;
  if (span <= bitmapOffsetsMax) return bitmap(position, unsettled, span);
  if (asRuns.length <= metadataMax) return asRuns;
  // Neither holds it all: what reaches further.
  const cut = cutRuns(runs);
  return cut.span > bitmapOffsetsMax ? cut.text : bitmap(position, unsettled, bitmapOffsetsMax);
}

/** As many runs as fit, and how many offsets they tell of. */
function cutRuns(runs: readonly string[]): { text: string; span: number } {
  let text = 'r1:';
  let span = 0;
  for (let i = 0; i + 1 < runs.length; i += 2) {
    const [unsettled = '', settled = ''] = runs.slice(i, i + 2);
    const pair = `${i === 0 ? '' : '.'}${unsettled}.${settled}`;
    if (text.length + pair.length > metadataMax) break;
    text += pair;
    span += Number.parseInt(unsettled, 36) + Number.parseInt(settled, 36);
  }
  return { text, span };
}

function bitmap(position: number, unsettled: readonly number[], span: number): string {
  const bytes = Buffer.alloc(Math.ceil(span / 8), 0xff);
  for (let bit = span; bit < bytes.length * 8; bit++) clearBit(bytes, bit);
  for (const offset of unsettled) {
    if (offset - position >= span) break;
    clearBit(bytes, offset - position);
  }
  return `b1:${bytes.toString('base64').replace(/=+$/, '')}`;
}

function clearBit(bytes: Buffer, bit: number): void {
  const index = bit >> 3;
  bytes[index] = (bytes[index] ?? 0) & ~(0x80 >> (bit & 7));
}

/**
 * Reads what `encodeSettled` wrote.
 *
 * @returns the unsettled offsets (ascending) from the position up to `next`, the offset after the last settled one;
 *   null if the metadata is not ours: then nothing above the position is known to be settled.
 */
export function decodeSettled(position: number, metadata: string): { unsettled: number[]; next: number } | null {
  if (metadata.startsWith('r1:')) return decodeRuns(position, metadata.slice(3));
  if (metadata.startsWith('b1:')) return decodeBitmap(position, metadata.slice(3));
  return null;
}

function decodeRuns(position: number, text: string): { unsettled: number[]; next: number } | null {
  const lengths = text.split('.').map((length) => (/^[0-9a-z]{1,11}$/.test(length) ? Number.parseInt(length, 36) : -1));
  const unsettled: number[] = [];
  let offset = position;
  for (const [index, length] of lengths.entries()) {
    if (length < 1 || !Number.isSafeInteger(offset + length)) return null;
    if (index % 2 === 0) {
      if (unsettled.length + length > unsettledMax) return null;
      for (let i = 0; i < length; i++) unsettled.push(offset + i);
    }
    offset += length;
  }
  return lengths.length % 2 === 0 ? { unsettled, next: offset } : null;
}

/** More unsettled offsets than any window holds: such metadata is not ours. */
const unsettledMax = 1_000_000;

function decodeBitmap(position: number, text: string): { unsettled: number[]; next: number } | null {
  if (text.length > metadataMax || !/^[A-Za-z0-9+/]+$/.test(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  const unsettled: number[] = [];
  let next = position;
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const settled = ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0;
    if (settled) next = position + bit + 1;
    else unsettled.push(position + bit);
  }
  return { unsettled: unsettled.filter((offset) => offset < next), next };
}

function restore(
  committed: { readonly offset: number; readonly metadata: string },
  end: number,
): { unsettled: readonly number[]; next: number } {
  const decoded = decodeSettled(committed.offset, committed.metadata);
  if (decoded === null || decoded.next > end) return { unsettled: [], next: committed.offset };
  return decoded;
}
