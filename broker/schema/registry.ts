import type { Logger } from 'pino';
import type { Clock } from '../../runtime/clock.ts';
import type { CompiledSchema } from './compile.ts';
import { compileSet } from './compile-set.ts';
import { isMetaSchema, readDocument, type SchemaDocument } from './document.ts';
import { SchemaFetcher } from './fetch.ts';
import type { Found } from './schemas.ts';

/** How long a schema counts as it is without being asked about again. */
export const freshness = {
  /** Where the registry does not say: a schema under one URL changes seldom, if ever. */
  unsaidMs: 300_000,
  /** Not less, whatever it says: each event would ask. */
  leastMs: 5_000,
  /** Not more, so that a mistake in `max-age` ends some day. */
  mostMs: 86_400_000,
  /** That there is none. */
  absentMs: 60_000,
  /** That the registry does not answer. Until it does, what was known counts on. */
  failedMs: 5_000,
} as const;

/** What is held at most. */
export const registryLimits = {
  /** Schemas, with all that they refer to. */
  schemasMax: 1_000,
  /** URLs without one. */
  absentMax: 10_000,
  /** Schemas that are being fetched. */
  loadsMax: 100,
  /** That one may refer to, over all steps. */
  referencesMax: 100,
  urlCharactersMax: 2_048,
} as const;

interface Fetched {
  readonly document: SchemaDocument;
  readonly etag: string | null;
}

interface Held {
  readonly schema: CompiledSchema;
  /** It and what it refers to, by URL. */
  readonly fetched: ReadonlyMap<string, Fetched>;
  /** On the monotonic clock. */
  freshUntilMs: number;
  usedMs: number;
}

interface Miss {
  readonly found: Found;
  readonly untilMs: number;
}

/** Why there is no schema: none is there, something else is there, or the registry does not say. */
interface Failure {
  readonly kind: 'absent' | 'broken' | 'failed';
  readonly reason: string;
}

export interface SchemaRegistryOptions {
  /** What all schemas lie below, without a slash at its end. */
  readonly base: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fetcher?: SchemaFetcher;
}

/** The schemas of a registry that answers GET at a schema's URL with the schema. Each is fetched when it is needed. */
export class SchemaRegistry {
  /** What relative names lie below. */
  readonly root: string;
  readonly #base: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #fetcher: SchemaFetcher;
  readonly #held = new Map<string, Held>();
  readonly #misses = new Map<string, Miss>();
  readonly #loads = new Map<string, Promise<Found>>();
  /** Whether it was said that the registry does not answer. */
  #isDown = false;
  /** Until then nothing is said of what is no schema. */
  #silentUntilMs = 0;

  constructor({ base, clock, logger, fetcher = new SchemaFetcher() }: SchemaRegistryOptions) {
    this.#base = base;
    this.root = `${base}/`;
    this.#clock = clock;
    this.#logger = logger;
    this.#fetcher = fetcher;
  }

  close(): Promise<void> {
    return this.#fetcher.close();
  }

  /**
   * Whether the URL is one that may be asked for: below the base, and nothing but a path. What is `..` for some
   * servers (`%2e%2e%2f`) is not taken, since the URLs come from producers.
   */
  holds(url: URL): boolean {
    const { href, search, username, password } = url;
    const isPlain =
      search === '' && username === '' && password === '' && href.length <= registryLimits.urlCharactersMax;
    return isPlain && href.startsWith(this.root) && href.length > this.root.length && !/%(?:2e|2f|5c|00)/i.test(href);
  }

  /** @param url one that `holds` takes */
  find(url: string): Found | Promise<Found> {
    const nowMs = this.#clock.monotonic();
    const held = this.#held.get(url);
    if (held !== undefined && nowMs < held.freshUntilMs) {
      held.usedMs = nowMs;
      return { kind: 'schema', schema: held.schema };
    }
    const miss = this.#misses.get(url);
    if (miss !== undefined && nowMs < miss.untilMs) return miss.found;
    const loading = this.#loads.get(url);
    if (loading !== undefined) return loading;
    if (this.#loads.size >= registryLimits.loadsMax) {
      return { kind: 'unavailable', reason: `more than ${registryLimits.loadsMax} schemas are being fetched` };
    }
    const load = this.#load(url, held).finally(() => this.#loads.delete(url));
    this.#loads.set(url, load);
    return load;
  }

  async #load(url: string, known: Held | undefined): Promise<Found> {
    const loaded = await this.#fetchAll(url, known);
    if (!('kind' in loaded)) {
      if (this.#isDown) this.#logger.info({ registry: this.#base }, 'the schema registry answers again');
      this.#isDown = false;
      this.#hold(url, loaded);
      return { kind: 'schema', schema: loaded.schema };
    }
    const isKept = known !== undefined && loaded.kind !== 'absent';
    this.#tell(url, loaded, isKept);
    const forMs = loaded.kind === 'failed' ? freshness.failedMs : freshness.absentMs;
    const untilMs = this.#clock.monotonic() + forMs;
    if (isKept) {
      known.freshUntilMs = untilMs;
      return { kind: 'schema', schema: known.schema };
    }
    // What is something else is unknown as well: an event can name any URL below the base.
    const found: Found =
      loaded.kind === 'failed' ? { kind: 'unavailable', reason: loaded.reason } : { kind: 'unknown' };
    this.#held.delete(url);
    this.#misses.delete(url);
    this.#misses.set(url, { found, untilMs });
    for (const oldest of this.#misses.keys()) {
      if (this.#misses.size <= registryLimits.absentMax) break;
      this.#misses.delete(oldest);
    }
    return found;
  }

  /** Not a line for each URL that a producer can think of. */
  #tell(url: string, { kind, reason }: Failure, isKept: boolean): void {
    const fields = { registry: this.#base, schema: url, reason };
    const nowMs = this.#clock.monotonic();
    if (kind === 'failed' && !this.#isDown) {
      this.#isDown = true;
      const stays = 'schemas that are known count on; events of others are answered 503, and wait on topics';
      this.#logger.warn(fields, `the schema registry does not answer; ${stays}`);
    } else if (kind === 'broken' && nowMs >= this.#silentUntilMs) {
      this.#silentUntilMs = nowMs + freshness.absentMs;
      const stays = isKept ? 'the schema that was there before counts on' : 'there is no schema of this name, then';
      this.#logger.warn(fields, `what the schema registry has there can't be used; ${stays}`);
    } else {
      this.#logger.debug(fields, 'no schema there');
    }
  }

  #hold(url: string, held: Held): void {
    this.#misses.delete(url);
    this.#held.set(url, held);
    if (this.#held.size <= registryLimits.schemasMax) return;
    let [oldest, oldestMs] = ['', Number.POSITIVE_INFINITY];
    for (const [one, { usedMs }] of this.#held) if (usedMs < oldestMs) [oldest, oldestMs] = [one, usedMs];
    this.#held.delete(oldest);
  }

  /** The schema and all that it refers to, those that are known asked about by their ETag. */
  async #fetchAll(url: string, known: Held | undefined): Promise<Held | Failure> {
    const fetched = new Map<string, Fetched>();
    const wanted = [url];
    let freshForMs: number = freshness.mostMs;
    for (const one of wanted) {
      if (wanted.length > registryLimits.referencesMax) {
        return { kind: 'broken', reason: `it refers to more than ${registryLimits.referencesMax} others` };
      }
      const before = known?.fetched.get(one);
      const answer = await this.#fetcher.get(one, before?.etag ?? null);
      const which = one === url ? '' : `${one}, which it refers to: `;
      if (answer.kind === 'failed') {
        const reason = `the schema registry ${this.#base} does not answer for ${one}: ${answer.reason}`;
        return { kind: 'failed', reason };
      }
      if (answer.kind === 'absent' || answer.kind === 'broken') {
        return { kind: one === url ? answer.kind : 'broken', reason: which + answer.reason };
      }
      let document = before?.document;
      if (answer.kind === 'schema') {
        const read = readDocument(answer.value, { uri: one, root: this.root, isNamed: true });
        if ('problems' in read) return { kind: 'broken', reason: which + wordsOf(read.problems[0]) };
        document = read;
      }
      if (document === undefined) return { kind: 'broken', reason: `${which}it answers 304 to who has none` };
      freshForMs = Math.min(freshForMs, answer.maxAgeMs ?? freshness.unsaidMs);
      fetched.set(one, { document, etag: answer.kind === 'schema' ? answer.etag : (before?.etag ?? null) });
      wanted.push(...this.#fetchable(document).filter((uri) => !wanted.includes(uri)));
    }
    const nowMs = this.#clock.monotonic();
    const times = { freshUntilMs: nowMs + Math.max(freshForMs, freshness.leastMs), usedMs: nowMs };
    const isSame = [...fetched].every(([one, { document }]) => known?.fetched.get(one)?.document === document);
    if (known !== undefined && isSame) return { ...known, fetched, ...times };
    const documents = new Map([...fetched].map(([one, { document }]) => [one, document]));
    const { schemas, problems } = compileSet(documents);
    const schema = schemas.get(url);
    return schema === undefined ? { kind: 'broken', reason: wordsOf(problems[0]) } : { schema, fetched, ...times };
  }

  /** What else is to be fetched: nothing that is not below the base, whoever refers to it. */
  #fetchable({ references, embedded }: SchemaDocument): string[] {
    const uris = new Set(references.map(({ uri }) => uri).filter((uri) => !embedded.has(uri) && !isMetaSchema(uri)));
    return [...uris].filter((uri) => this.holds(new URL(uri)));
  }
}

function wordsOf(problem: { readonly pointer: string; readonly message: string } | undefined): string {
  return problem === undefined
    ? 'it is no schema'
    : `${problem.pointer === '' ? 'it' : problem.pointer} ${problem.message}`;
}
