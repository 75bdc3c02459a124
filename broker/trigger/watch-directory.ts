import type { Logger } from 'pino';
import type { Clock } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/errors.ts';
import { fileProblem, isFileError } from '../../runtime/file-problem.ts';
import type { Brokers } from '../brokers.ts';
import { everyRescan, FileWatch } from '../watch-files.ts';
import type { Problem } from './manifest.ts';
import { hasErrors, type ManifestFile, manifestFilesIn, problemText, readManifestFile } from './manifest-files.ts';
import { type AppliedChange, ApplyRefusedError } from './registry-plan.ts';

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
  readonly #logger: Logger;
  readonly #watch: FileWatch<readonly ManifestFile[]>;
  #lastSaid = '';

  constructor({ directory, owner, brokers, clock, logger }: WatchDirectoryOptions) {
    this.#directory = directory;
    this.#owner = owner;
    this.#brokers = brokers;
    this.#logger = logger;
    this.#watch = new FileWatch<readonly ManifestFile[]>({
      ...{ directory, clock, logger, list: manifestFilesIn },
      read: (files) => Promise.all(files.map((file) => readManifestFile(file, { prefix: brokers.prefix }))),
      use: (files) => this.#apply(files),
      failed: (error) => this.#say('error', this.#unapplied(error)),
    });
  }

  start(): Promise<void> {
    return this.#watch.start();
  }

  close(): Promise<void> {
    return this.#watch.close();
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
}
