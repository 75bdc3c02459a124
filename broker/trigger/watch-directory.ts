import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import type { Clock, Timer } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/errors.ts';
import { fileProblem, isFileError } from '../../runtime/file-problem.ts';
import type { Brokers } from '../brokers.ts';
import type { Problem } from './manifest.ts';
import { hasErrors, type ManifestFile, manifestFilesIn, problemText, readManifestFile } from './manifest-files.ts';
import { type AppliedChange, ApplyRefusedError } from './registry-plan.ts';

/** A change is taken up once nothing has changed for this long: editors and `git pull` write in several steps. */
const settleMs = 200;

/** Finds what the file system told nobody (network mounts), and tries again what failed. */
const rescanEveryMs = 5_000;
const everyRescan = `every ${rescanEveryMs / 1_000} s`;

export interface WatchDirectoryOptions {
  readonly directory: string;
  readonly owner: string;
  readonly brokers: Brokers;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface DirectoryWatch {
  /** Idempotent. Waits for an apply that has begun. */
  close(): Promise<void>;
}

/**
 * Applies the manifests of a directory now and at each change of it, as `apply --prune` does, and resolves once the
 * first apply is done or has failed. Never rejects: what is wrong is logged, and tried again.
 *
 * A file with an error is left out; nothing is deleted then, so what it held before stays in force. Nor is anything
 * deleted because the directory is empty, missing or can't be read.
 */
export async function watchDirectory(options: WatchDirectoryOptions): Promise<DirectoryWatch> {
  const watched = new WatchedDirectory(options);
  await watched.start();
  return watched;
}

class WatchedDirectory implements DirectoryWatch {
  readonly #directory: string;
  readonly #owner: string;
  readonly #brokers: Brokers;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** By directory, with its inode: one that was replaced is to be watched anew. */
  readonly #watchers = new Map<string, { readonly fs: FSWatcher; readonly inode: number }>();
  #isUnwatchable = false;
  #timer: Timer | null = null;
  /** Set while the timer waits for a change to settle rather than for the next look. */
  #settling = false;
  #scans: Promise<void> = Promise.resolve();
  #lastSeen = '';
  #applied: string | null = null;
  #lastSaid = '';
  #closed = false;

  constructor({ directory, owner, brokers, clock, logger }: WatchDirectoryOptions) {
    this.#directory = directory;
    this.#owner = owner;
    this.#brokers = brokers;
    this.#clock = clock;
    this.#logger = logger;
  }

  async start(): Promise<void> {
    this.#lastSeen = await fingerprint(this.#directory).catch(() => '');
    await this.#enqueueScan();
  }

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
        this.#say('error', this.#unapplied(error));
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
    this.#timer = this.#clock.setTimer(() => void this.#enqueueScan(), delayMs);
  }

  /** Returns false where the directory is changing right now, so that it must be looked at again. */
  async #scan(): Promise<boolean> {
    const names = await manifestFilesIn(this.#directory);
    await this.#watch(names);
    const before = await fingerprint(this.#directory);
    if (before === this.#applied) return true;
    if (before !== this.#lastSeen) {
      this.#lastSeen = before;
      return false;
    }
    const files = await Promise.all(names.map((name) => readManifestFile(name, { prefix: this.#brokers.prefix })));
    if ((await fingerprint(this.#directory)) !== before) return false;
    if (await this.#apply(files)) this.#applied = before;
    return true;
  }

  /** Returns whether there is nothing to try again before the directory changes. */
  async #apply(files: readonly ManifestFile[]): Promise<boolean> {
    const problems = files.flatMap((file) => file.problems);
    let good = files.filter((file) => !hasErrors(file));
    let refused: readonly Problem[] = [];
    for (;;) {
      const documents = good.flatMap((file) => file.documents);
      const complete = good.length === files.length && documents.some((document) => document.kind === 'Trigger');
      try {
        const changes = await this.#brokers.apply({ documents, owner: this.#owner, prune: complete });
        this.#report(changes, problems, refused);
        if (!complete && good.length === files.length) this.#sayEmpty();
        return refused.length === 0;
      } catch (error) {
        if (!(error instanceof ApplyRefusedError)) throw error;
        refused = [...refused, ...error.problems];
        const bad = new Set(error.problems.map((problem) => problem.file));
        good = good.filter(({ file }) => !bad.has(file));
      }
    }
  }

  /** @param own problems of the files themselves; `refused` those that lie outside of them, and may go without a change */
  #report(changes: readonly AppliedChange[], own: readonly Problem[], refused: readonly Problem[]): void {
    const changed = changes.filter(({ action }) => action !== 'unchanged');
    for (const { kind, namespace, name, action } of changed) {
      this.#logger.info({ directory: this.#directory, action }, `${kind.toLowerCase()} ${namespace}/${name} ${action}`);
    }
    const problems = [...own, ...refused];
    const said = problems.map(problemText).join('\n');
    if (said === this.#lastSaid) return;
    this.#lastSaid = said;
    for (const problem of problems) {
      const { file, line, column, field, severity } = problem;
      const left = severity === 'error' ? '; nothing of this file is applied, what it held before stays in force' : '';
      const again = refused.includes(problem) ? `; it is tried again ${everyRescan}` : '';
      const place = { file, line, column, field };
      this.#logger[severity === 'error' ? 'error' : 'warn'](place, problemText(problem) + left + again);
    }
    if (said === '') this.#logger.info(`every file of ${this.#directory} is applied`);
  }

  #unapplied(error: unknown): string {
    if (!isFileError(error)) return `--triggers ${this.#directory} can't be applied, trying again: ${messageOf(error)}`;
    const below = error.path === this.#directory ? '' : `${error.path}: `;
    const right = 'name a directory of .yaml, .yml or .json files';
    return (
      `--triggers ${this.#directory}: ${below}${fileProblem(error, 'directory')}; ${right}. ` +
      `It is looked for again ${everyRescan}; what came from it before stays in force`
    );
  }

  #sayEmpty(): void {
    let kept = 0;
    for (const registry of this.#brokers.list()) {
      for (const stored of registry.stored().triggers.values()) if (stored.owner === this.#owner) kept++;
    }
    const stay =
      kept === 0
        ? '; put .yaml, .yml or .json files with triggers there'
        : `; the ${kept} that came from it stay in force, delete them with posthorn delete`;
    this.#say('warn', `no trigger in ${this.#directory}${stay}`);
  }

  /** Once a change, not at every look. */
  #say(level: 'warn' | 'error', message: string): void {
    if (message === this.#lastSaid) return;
    this.#lastSaid = message;
    this.#logger[level](message);
  }

  /** Watches the directory and those below it that hold manifests. */
  async #watch(files: readonly string[]): Promise<void> {
    const directories = new Set([this.#directory, ...files.map((file) => dirname(file))]);
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
      if (!this.#isUnwatchable) this.#logger.warn({ err: error }, message);
      this.#isUnwatchable = true;
      return null;
    }
  }
}

/** Changes whenever a manifest file of the directory does; links are followed (ConfigMaps swap one). */
async function fingerprint(directory: string): Promise<string> {
  const parts: string[] = [];
  for (const file of await manifestFilesIn(directory)) {
    const found = await stat(file).catch(() => null);
    parts.push(found ? `${file} ${found.ino} ${found.size} ${found.mtimeMs}` : `${file} unreadable`);
  }
  return parts.join('\n');
}
