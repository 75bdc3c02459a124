import type { LogRecord } from '../../broker/log/log.ts';

export interface WindowLimits {
  /** Unsettled records over all partitions. */
  readonly recordsMax: number;
  /** Bytes of the unsettled records, over all partitions. */
  readonly bytesMax: number;
  /** Unsettled records of one partition; unlimited if absent. Where it is given, a partition leaves others their part. */
  readonly partitionRecordsMax?: number;
}

/** What is unsettled of one partition. */
export interface WindowPart {
  inFlight: number;
  bytes: number;
}

/** Counts what is unsettled. One record is always let in, however large. */
export class Window {
  readonly #limits: WindowLimits;
  records = 0;
  #bytes = 0;
  wasFull = false;

  constructor(limits: WindowLimits) {
    this.#limits = limits;
  }

  get hasRoom(): boolean {
    const isRoom =
      this.records === 0 || (this.records < this.#limits.recordsMax && this.#bytes < this.#limits.bytesMax);
    if (!isRoom) this.wasFull = true;
    return isRoom;
  }

  get isRelieved(): boolean {
    return this.records <= this.#limits.recordsMax / 2 && this.#bytes <= this.#limits.bytesMax / 2;
  }

  /**
   * Whether a partition may have one more. A bounded one takes no more than a quarter of the records, and half of the
   * bytes, of what is free: twenty that hold all they may leave 1 % of the window to those that move.
   * @param recordsMax its bound; undefined: none
   */
  hasRoomFor(part: WindowPart, recordsMax: number | undefined): boolean {
    if (!this.hasRoom) return false;
    if (recordsMax === undefined || part.inFlight === 0) return true;
    return part.inFlight < this.#recordsFor(recordsMax) && part.bytes < this.#bytesFree;
  }

  /** Whether half of what a partition may have is free again: each pause costs a fetch of what was not taken. */
  isRelievedFor(part: WindowPart, recordsMax: number | undefined): boolean {
    if (recordsMax === undefined) return this.isRelieved;
    const records = Math.floor(this.#recordsFor(recordsMax) / 2);
    return this.hasRoom && part.inFlight <= records && part.bytes <= this.#bytesFree / 2;
  }

  add(record: LogRecord, part: WindowPart): void {
    this.#count(1, bytesOf(record), part);
  }

  remove(record: LogRecord, part: WindowPart): void {
    this.#count(-1, -bytesOf(record), part);
  }

  get #bytesFree(): number {
    return this.#limits.bytesMax - this.#bytes;
  }

  #recordsFor(recordsMax: number): number {
    return Math.min(recordsMax, Math.ceil((this.#limits.recordsMax - this.records) / 4));
  }

  #count(records: number, bytes: number, part: WindowPart): void {
    this.records += records;
    this.#bytes += bytes;
    part.inFlight += records;
    part.bytes += bytes;
  }
}

function bytesOf(record: LogRecord): number {
  // 512 stands for the headers and the objects around them: to count those exactly costs more than it tells.
  return 512 + (record.key?.length ?? 0) + (record.value?.length ?? 0);
}
