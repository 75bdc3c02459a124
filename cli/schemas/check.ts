import { compare, type Mode, modes, type Reason, type Version } from '../../broker/schema/compatibility/compare.ts';
import { directoryRoot } from '../../broker/schema/directory.ts';
import { SchemaFetcher } from '../../broker/schema/fetch.ts';
import { baseUrl } from '../../runtime/config-kinds.ts';
import { UsageError } from '../../runtime/errors.ts';
import { directoryVersions, fileVersion, isDirectory, isUrl, urlVersion } from './versions.ts';

export interface SchemaReport {
  /** The worst of the schemas. */
  readonly verdict: 'compatible' | 'incompatible' | 'undecided';
  readonly mode: Mode;
  readonly schemas: readonly SchemaVerdict[];
}

export interface SchemaVerdict {
  readonly name: string;
  /** `new` and `gone`: there is no other version to compare it with. */
  readonly verdict: SchemaReport['verdict'] | 'new' | 'gone';
  readonly reasons: readonly Reason[];
}

type Pair = readonly [name: string, before: Version | null, after: Version | null];

/** Compares the versions. @throws UsageError where one can't be had, or is none */
export async function checkVersions(before: string, after: string, modeText: string): Promise<SchemaReport> {
  const mode = modes.find((one) => one === modeText.toUpperCase());
  if (mode === undefined) throw new UsageError(`--mode ${modeText} is not known; there are ${modes.join(', ')}`);
  const fetcher = new SchemaFetcher();
  try {
    const schemas = (await pairsOf(before, after, fetcher)).map((pair) => verdictOf(pair, mode));
    const verdicts = new Set(schemas.map(({ verdict }) => verdict));
    const worst = (['incompatible', 'undecided'] as const).find((verdict) => verdicts.has(verdict));
    return { verdict: worst ?? 'compatible', mode, schemas };
  } finally {
    await fetcher.close();
  }
}

function verdictOf([name, before, after]: Pair, mode: Mode): SchemaVerdict {
  if (before === null) return { name, verdict: 'new', reasons: [] };
  if (after === null) return { name, verdict: 'gone', reasons: [] };
  const [was, is] = [before.document.dialect, after.document.dialect];
  if (was !== is) {
    const message = `is of ${is}, and the old version of ${was}`;
    const reason: Reason = { direction: 'BACKWARD', pointer: '/$schema', message, example: null };
    return { name, verdict: 'undecided', reasons: [reason] };
  }
  return { name, ...compare(before, after, mode) };
}

async function pairsOf(before: string, after: string, fetcher: SchemaFetcher): Promise<readonly Pair[]> {
  if (isUrl(after))
    throw new UsageError(`the new version is a file or a directory, not ${after}; only OLD may be a URL`);
  const isWhole = await isDirectory(after);
  if (!isUrl(before)) {
    if ((await isDirectory(before)) !== isWhole) {
      throw new UsageError(`${before} and ${after} must both be files, or both be directories`);
    }
    if (!isWhole) return [[after, await fileVersion(before), await fileVersion(after)]];
    return pairs(await directoryVersions(before), await directoryVersions(after));
  }
  if (!isWhole) {
    const found = await urlVersion(before, fetcher, new URL('.', before).href);
    if (found === null) throw new UsageError(`there is no schema at ${before}`);
    return [[after, found, await fileVersion(after)]];
  }
  const base = baseUrl.parse(before);
  if (base === undefined) throw new UsageError(`${before} must be ${baseUrl.expected}`);
  return await pairsOfRegistry(base, after, fetcher);
}

async function pairsOfRegistry(base: string, directory: string, fetcher: SchemaFetcher): Promise<readonly Pair[]> {
  const root = `${base}/`;
  const found: Pair[] = [];
  for (const [uri, version] of await directoryVersions(directory, root)) {
    if (!uri.startsWith(root)) throw new UsageError(`${uri} is not below ${base}, so the registry can't have it`);
    found.push([uri, await urlVersion(uri, fetcher, root), version]);
  }
  return found;
}

function pairs(before: ReadonlyMap<string, Version>, after: ReadonlyMap<string, Version>): readonly Pair[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  const shown = (name: string): string => (name.startsWith(directoryRoot) ? name.slice(directoryRoot.length) : name);
  return names.map((name) => [shown(name), before.get(name) ?? null, after.get(name) ?? null]);
}

/** What a terminal shows. */
export function reportText({ schemas, mode }: SchemaReport): string {
  const lines = schemas.map(
    ({ name, verdict, reasons }) => `${name}: ${words[verdict]}\n${reasons.map(reasonText).join('')}`,
  );
  const counts = (['compatible', 'incompatible', 'undecided', 'new', 'gone'] as const).flatMap((verdict) => {
    const number = schemas.filter((one) => one.verdict === verdict).length;
    return number === 0 ? [] : [`${number} ${verdict}`];
  });
  return `${lines.join('')}${counts.join(', ')} (${mode})\n`;
}

const words = {
  compatible: 'compatible',
  incompatible: 'incompatible',
  undecided: 'undecided: no proof that it is compatible, and no example that it is not',
  new: 'new, there is no old version',
  gone: 'gone, there is no new version',
} as const;

/** Longer examples are whole in the JSON. */
const exampleCharactersMax = 200;

function reasonText({ direction, pointer, message, example }: Reason): string {
  const [one, other] = direction === 'BACKWARD' ? ['old', 'new'] : ['new', 'old'];
  const place = pointer.includes('#') ? pointer : `#${pointer}`;
  const line = `  ${direction} ${place}: ${message}\n`;
  if (example === null) return line;
  const cut = example.length > exampleCharactersMax ? `${example.slice(0, exampleCharactersMax)}…` : example;
  return `${line}    the ${one} version accepts ${cut}, the ${other} one does not\n`;
}
