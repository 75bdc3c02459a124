import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import type { Clock, Timer } from '../runtime/clock.ts';

/** A change is taken up once nothing has changed for this long: editors and `git pull` write in several steps. */
const settleMs = 200;

/** Finds what the file system told nobody (network mounts), and tries again what failed. */
const rescanEveryMs = 5_000;
export const everyRescan = `every ${rescanEveryMs / 1_000} s`;

export interface FileWatchOptions<T> {
  readonly directory: string;
  /** The files that count, of the directory and of those below it. */
  readonly list: (directory: string) => Promise<string[]>;
  readonly read: (files: readonly string[]) => Promise<T>;
  /** Takes what was read of a directory that stood still; false: to be tried again though nothing changes. */
  readonly use: (content: T) => Promise<boolean>;
  /** What `list`, `read` or `use` threw; it is tried again. */
  readonly failed: (error: unknown) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Reads a directory of files, and again at each change of it. Never rejects. */
export class FileWatch<T> {
  readonly #options: FileWatchOptions<T>;
  /** By directory, with its inode: one that was replaced is to be watched anew. */
  readonly #watchers = new Map<string, { readonly fs: FSWatcher; readonly inode: number }>();
  #isUnwatchable = false;
  #timer: Timer | null = null;
  /** Set while the timer waits for a change to settle rather than for the next look. */
  #settling = false;
  #scans: Promise<void> = Promise.resolve();
  #lastSeen = '';
  #used: string | null = null;
  #closed = false;

  constructor(options: FileWatchOptions<T>) {
    this.#options = options;
  }

  /** Resolves once the directory was used for the first time, or that has failed. */
  async start(): Promise<void> {
    this.#lastSeen = await this.#fingerprint().catch(() => '');
    await this.#enqueueScan();
  }

  /** Idempotent. Waits for a use that has begun. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#scans;
    for (const { fs } of this.#watchers.values()) fs.close();
    this.#watchers.clear();
  }

  #enqueueScan(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    this.#settling = false;
    this.#scans = this.#scans.then(async () => {
      if (this.#closed) return;
      const settled = await this.#scan().catch((error) => {
        this.#options.failed(error);
        return true;
      });
      if (!settled) this.#changed();
      else if (!this.#settling) this.#setTimer(rescanEveryMs);
    });
    return this.#scans;
  }

  #changed(): void {
    if (this.#settling) return;
    this.#settling = true;
    this.#setTimer(settleMs);
  }

  #setTimer(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#closed) return;
    this.#timer = this.#options.clock.setTimer(() => void this.#enqueueScan(), delayMs);
  }

  /** Returns false where the directory is changing right now, so that it must be looked at again. */
  async #scan(): Promise<boolean> {
    const { directory, list, read, use } = this.#options;
    const files = await list(directory);
    await this.#watch(files);
    const before = await this.#fingerprint();
    if (before === this.#used) return true;
    if (before !== this.#lastSeen) {
      this.#lastSeen = before;
      return false;
    }
    const content = await read(files);
    if ((await this.#fingerprint()) !== before) return false;
    if (await use(content)) this.#used = before;
    return true;
  }

  /** Changes whenever a file of the directory does; links are followed (ConfigMaps swap one). */
  async #fingerprint(): Promise<string> {
    const { directory, list } = this.#options;
    const parts: string[] = [];
    for (const file of await list(directory)) {
      const found = await stat(file).catch(() => null);
      parts.push(found ? `${file} ${found.ino} ${found.size} ${found.mtimeMs}` : `${file} unreadable`);
    }
    return parts.join('\n');
  }

  /** Watches the directory and those below it that hold files. */
  async #watch(files: readonly string[]): Promise<void> {
    const directories = new Set([this.#options.directory, ...files.map((file) => dirname(file))]);
    for (const [directory, { fs }] of this.#watchers) {
      if (directories.has(directory)) continue;
      fs.close();
      this.#watchers.delete(directory);
    }
    for (const directory of directories) {
      const { ino: inode } = await stat(directory);
      const known = this.#watchers.get(directory);
      if (known?.inode === inode) continue;
      known?.fs.close();
      this.#watchers.delete(directory);
      const fs = this.#tryWatch(directory);
      if (fs) this.#watchers.set(directory, { fs, inode });
    }
  }

  /** Where it can't be watched (no inotify watches are left), looking every few seconds has to do. */
  #tryWatch(directory: string): FSWatcher | null {
    try {
      const fs = watch(directory, () => this.#changed());
      fs.on('error', () => {
        fs.close();
        if (this.#watchers.get(directory)?.fs === fs) this.#watchers.delete(directory);
      });
      return fs;
    } catch (error) {
      const message = `${directory} can't be watched, it is looked at ${everyRescan}`;
      if (!this.#isUnwatchable) this.#options.logger.warn({ err: error }, message);
      this.#isUnwatchable = true;
      return null;
    }
  }
}
