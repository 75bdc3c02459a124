import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { filesOf, isNoRoom } from './directory.ts';

/** The reserve is written in pieces of this many bytes. */
const pieceBytes = 1_048_576;

/**
 * Free pages that must be left beside what an append needs before it is let in on a full disk, in bytes: deletions
 * need some for the pages that they rewrite.
 */
const freeBytesMin = 1_048_576;

/**
 * Watches over the room on the disk. A file holds some of it in reserve; when the disk is full that file is given
 * up, so that retention, trims and commits still have what they need, while appends are refused until there is room:
 * pages that deletions made free within the database, or room on the disk to make the reserve anew.
 */
export class Space {
  readonly #directory: string;
  readonly #file: string;
  readonly #reserveBytes: number;
  #full = false;

  constructor(directory: string, reserveBytes: number) {
    this.#directory = directory;
    this.#file = filesOf(directory).reserve;
    this.#reserveBytes = reserveBytes;
    this.#full = !this.#makeReserve();
  }

  get full(): boolean {
    return this.#full;
  }

  /** The disk turned out to be full. */
  giveUpReserve(): void {
    rmSync(this.#file, { force: true });
    this.#full = true;
  }

  /** Makes the reserve anew if there is room for it twice; true if the disk is no longer full. */
  recover(): boolean {
    if (!this.#full) return true;
    const { bavail, bsize } = statfsSync(this.#directory);
    this.#full = bavail * bsize < 2 * this.#reserveBytes || !this.#makeReserve();
    return !this.#full;
  }

  /** Whether `bytes` more fit into the free pages of the database, with what deletions need beside them. */
  fits(bytes: number, freeBytes: number): boolean {
    return freeBytes >= 2 * bytes + freeBytesMin;
  }

  #makeReserve(): boolean {
    if (statSync(this.#file, { throwIfNoEntry: false })?.size === this.#reserveBytes) return true;
    // Random bytes, because a file system that compresses would keep no room for others.
    const piece = randomFillSync(Buffer.allocUnsafe(Math.min(pieceBytes, this.#reserveBytes)));
    let file: number | undefined;
    try {
      file = openSync(this.#file, 'w', 0o600);
      for (let left = this.#reserveBytes; left > 0; ) left -= writeSync(file, piece, 0, Math.min(left, piece.length));
      return true;
    } catch (error) {
      if (!isNoRoom(error)) throw error;
      rmSync(this.#file, { force: true });
      return false;
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }
}
