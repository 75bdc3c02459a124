import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs';

/*
 * SQLite's write-ahead log (https://www.sqlite.org/fileformat2.html#the_write_ahead_log): a header of 32 bytes, then
 * frames of a header of 24 bytes and a page each. A frame counts if it carries the salts of the log's header and the
 * checksum of all that is before it; a transaction counts once a frame says that it is its last.
 */
const logHeaderBytes = 32;
const frameHeaderBytes = 24;

/**
 * Leaves a write-ahead log as a power cut would in the middle of a transaction that nobody was told of: behind the last
 * whole transaction comes a frame that is cut in its page, and then, where there is more of the file, what was there.
 *
 * @returns the offset in the file at which it was torn, or null where there is no log to tear
 */
export function tearWal(file: string): number | null {
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return null;
  const handle = openSync(file, 'r+');
  try {
    const bytes = Buffer.alloc(statSync(file).size);
    readSync(handle, bytes, 0, bytes.length, 0);
    const end = endOfTransactions(bytes);
    if (end === null) return null;
    const pageBytes = bytes.readUInt32BE(8);
    const frame = Buffer.alloc(frameHeaderBytes + pageBytes / 2, 0xa5);
    frame.writeUInt32BE(1, 0);
    frame.writeUInt32BE(0, 4);
    // Its salts are right: only its checksum and its length tell that it is torn.
    bytes.copy(frame, 8, 16, 24);
    writeSync(handle, frame, 0, frame.length, end);
    return end;
  } finally {
    closeSync(handle);
  }
}

/** Where the last whole transaction of a log ends; null where there is no header. Pure. */
export function endOfTransactions(log: Buffer): number | null {
  if (log.length < logHeaderBytes) return null;
  const magic = log.readUInt32BE(0);
  if ((magic & 0xfffffffe) >>> 0 !== 0x377f0682) return null;
  const isBigEndian = (magic & 1) === 1;
  const pageBytes = log.readUInt32BE(8);
  const sum = new Checksum(isBigEndian);
  sum.add(log.subarray(0, 24));
  let end = logHeaderBytes;
  for (let at = logHeaderBytes; at + frameHeaderBytes + pageBytes <= log.length; at += frameHeaderBytes + pageBytes) {
    if (!log.subarray(at + 8, at + 16).equals(log.subarray(16, 24))) break;
    sum.add(log.subarray(at, at + 8));
    sum.add(log.subarray(at + frameHeaderBytes, at + frameHeaderBytes + pageBytes));
    if (log.readUInt32BE(at + 16) !== sum.first || log.readUInt32BE(at + 20) !== sum.second) break;
    const pagesAfterCommit = log.readUInt32BE(at + 4);
    if (pagesAfterCommit !== 0) end = at + frameHeaderBytes + pageBytes;
  }
  return end;
}

class Checksum {
  first = 0;
  second = 0;
  readonly #isBigEndian: boolean;

  constructor(isBigEndian: boolean) {
    this.#isBigEndian = isBigEndian;
  }

  /** @param bytes a multiple of 8 */
  add(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += 8) {
      this.first = (this.first + this.#word(bytes, at) + this.second) >>> 0;
      this.second = (this.second + this.#word(bytes, at + 4) + this.first) >>> 0;
    }
  }

  #word(bytes: Buffer, at: number): number {
    return this.#isBigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at);
  }
}
