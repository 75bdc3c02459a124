import type { Logger } from 'pino';
import type { Clock } from '../../runtime/clock.ts';
import { messageOf } from '../../runtime/errors.ts';
import { fileProblem, isFileError } from '../../runtime/file-problem.ts';
import { everyRescan, FileWatch } from '../watch-files.ts';
import type { CompiledSchema } from './compile.ts';
import { directoryRoot, readSchemas, type SchemaDirectory, schemaFilesIn, schemaProblemText } from './directory.ts';
import { resolveReference, withoutFragment } from './document.ts';
import type { SchemaRegistry } from './registry.ts';

/** What there is under a schema's name. */
export type Found =
  | { readonly kind: 'schema'; readonly schema: CompiledSchema }
  /** Nobody has such a schema. */
  | { readonly kind: 'unknown' }
  /** It can't be told just now, or is broken: what it would say of an event is not known. */
  | { readonly kind: 'unavailable'; readonly reason: string };

export interface SchemasOptions {
  /** The directory of schemas, or null. */
  readonly directory: string | null;
  readonly registry: SchemaRegistry | null;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** All schemas that this process knows: first those of the directory, then those of the registry. */
export class Schemas {
  readonly #options: SchemasOptions;
  /** What relative names lie below; ends in `/`. */
  readonly #root: string;
  readonly #watch: FileWatch<{ readonly files: number; readonly read: SchemaDirectory }> | null;
  #current: SchemaDirectory | null = null;
  #problems: readonly string[] = [];
  /** Why not all of the directory's schemas are known; null: they are. */
  #missing: string | null = null;
  #lastSaid = '';

  constructor(options: SchemasOptions) {
    const { directory, registry, clock, logger } = options;
    this.#options = options;
    this.#root = registry?.root ?? directoryRoot;
    this.#watch =
      directory === null
        ? null
        : new FileWatch({
            ...{ directory, clock, logger, list: schemaFilesIn },
            read: async (files) => ({
              files: files.length,
              read: await readSchemas(directory, files, this.#root),
            }),
            use: async ({ files, read }) => this.#use(files, read),
            failed: (error) => this.#unread(error),
          });
    if (directory !== null) this.#missing = `--schemas ${directory} was not read yet`;
  }

  /** Resolves once the directory was read, or can't be: then it is tried again. Never rejects. */
  async start(): Promise<void> {
    await this.#watch?.start();
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await this.#watch?.close();
    await this.#options.registry?.close();
  }

  /** Schemas of the directory that are in force. */
  get size(): number {
    return this.#current?.schemas.size ?? 0;
  }

  /** What is wrong in the directory as it stands. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  /** @param name a URI, or (of a Broker) a path below the directory or the registry */
  find(name: string): Found | Promise<Found> {
    const known = this.#current?.schemas.get(name);
    if (known !== undefined) return { kind: 'schema', schema: known };
    const resolved = URL.canParse(name) ? new URL(name) : resolveReference(name, this.#root, this.#root);
    if (resolved === null || resolved.hash !== '') return { kind: 'unknown' };
    const uri = withoutFragment(resolved.href);
    const schema = this.#current?.schemas.get(uri);
    if (schema !== undefined) return { kind: 'schema', schema };
    const { registry } = this.#options;
    if (registry?.holds(resolved)) return registry.find(uri);
    // It may be in one of the files that could not be read.
    return this.#missing === null ? { kind: 'unknown' } : { kind: 'unavailable', reason: this.#missing };
  }

  /** The last good set stays whole: half of a new one could accept what neither means to. */
  #use(files: number, read: SchemaDirectory): true {
    const { directory, logger } = this.#options;
    this.#problems = read.problems.map(schemaProblemText);
    const isBad = read.problems.length > 0;
    if (files === 0 && this.size > 0) {
      this.#say('warn', `no schema in ${directory}; the ${this.size} that it had stay in force`);
      return true;
    }
    const hasGood = this.#current !== null && this.#missing === null;
    if (!isBad || !hasGood) {
      this.#current = read;
      this.#missing = isBad ? `not all schemas of --schemas ${directory} can be read: ${this.#problems[0]}` : null;
    }
    const stays = hasGood
      ? 'what the directory held before stays in force'
      : 'events that name it are answered 503 until it is right';
    const said = this.#problems.join('\n');
    if (said !== '' && said !== this.#lastSaid) {
      for (const [index, { file, pointer }] of read.problems.entries()) {
        logger.error({ file, pointer }, `${this.#problems[index]}; ${stays}`);
      }
    }
    this.#lastSaid = said;
    if (!isBad) logger.info({ directory, schemas: read.schemas.size }, `the schemas of ${directory} are in force`);
    return true;
  }

  #unread(error: unknown): void {
    const { directory } = this.#options;
    const words = isFileError(error) ? fileProblem(error, 'directory') : messageOf(error);
    const problem = `--schemas ${directory}: ${words}`;
    if (this.#current === null) this.#missing = problem;
    this.#problems = [problem];
    const stays = this.#current === null ? '' : '; what it held before stays in force';
    this.#say('error', `${problem}; name a directory of .json files. It is looked for again ${everyRescan}${stays}`);
  }

  /** Once a change, not at every look. */
  #say(level: 'warn' | 'error', message: string): void {
    if (message === this.#lastSaid) return;
    this.#lastSaid = message;
    this.#options.logger[level](message);
  }
}
