import type { LogRecord } from '../../broker/log/log.ts';

export interface WindowLimits {
  /** Unsettled records over all partitions. */
  readonly recordsMax: number;
  /** Bytes of the unsettled records, over all partitions. */
  readonly bytesMax: number;
  /** Unsettled records of one partition; unlimited if absent. */
  readonly partitionRecordsMax?: number;
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

  add(record: LogRecord): void {
    this.records++;
    this.#bytes += bytesOf(record);
  }

  remove(record: LogRecord): void {
    this.records--;
    this.#bytes -= bytesOf(record);
  }
}

function bytesOf(record: LogRecord): number {
  // 512 stands for the headers and the objects around them: to count those exactly costs more than it tells.
  return 512 + (record.key?.length ?? 0) + (record.value?.length ?? 0);
}
