import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../runtime/errors.ts';
import { fileMaxBytes, type ParsedDocument, type ParseOptions, type Problem, parseManifests } from './manifest.ts';

/** A file of manifests as it was read; with any error among the problems none of it is to be applied. */
export interface ManifestFile {
  readonly file: string;
  readonly documents: readonly ParsedDocument[];
  readonly problems: readonly Problem[];
}

/**
 * The manifest files of a directory and of those below it, sorted: `*.yaml`, `*.yml` and `*.json`, but not the files
 * of `posthorn test`. Links to files are followed, hidden names and links to directories are not: a mounted ConfigMap
 * holds its files as links, and behind the hidden link `..data` once more.
 * @throws the error of the file system
 */
export function manifestFilesIn(directory: string): Promise<string[]> {
  return filesBelow(directory, (name) => /\.(ya?ml|json)$/i.test(name) && !isFixtureFile(name));
}

/** The files of `posthorn test` in a directory and in those below it, as `manifestFilesIn` gives the others. */
export function fixtureFilesIn(directory: string): Promise<string[]> {
  return filesBelow(directory, isFixtureFile);
}

/** Whether the name is that of a file of `posthorn test`: `orders.fixtures.yaml`. */
export function isFixtureFile(name: string): boolean {
  return /(^|\.)fixtures\.ya?ml$/i.test(name);
}

async function filesBelow(directory: string, isWanted: (name: string) => boolean): Promise<string[]> {
  const files: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const path = join(directory, entry.name);
    if (entry.isDirectory()) files.push(...(await filesBelow(path, isWanted)));
    else if (isWanted(entry.name) && (await isFileOrGone(path))) files.push(path);
  }
  return files.sort();
}

/** A file that can't be looked at is listed, so that reading it says why. */
function isFileOrGone(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => true,
  );
}

/** Never rejects: what can't be read is a problem of the file. */
export async function readManifestFile(file: string, options: ParseOptions = {}): Promise<ManifestFile> {
  try {
    const { size } = await stat(file);
    if (size > fileMaxBytes)
      return refused(file, `the file has ${size} bytes, at most ${fileMaxBytes} are read; divide it`);
    return { file, ...parseManifests(await readFile(file, 'utf8'), file, options) };
  } catch (error) {
    return refused(file, `can't be read: ${messageOf(error)}`);
  }
}

export function hasErrors({ problems }: Pick<ManifestFile, 'problems'>): boolean {
  return problems.some((problem) => problem.severity === 'error');
}

/** `orders.yaml:12:5: spec.broker: must be …`, as editors and compilers write it. */
export function problemText({ file, line, column, field, message }: Problem): string {
  return `${file}:${line}:${column}: ${field === '' ? '' : `${field}: `}${message}`;
}

function refused(file: string, message: string): ManifestFile {
  return { file, documents: [], problems: [{ severity: 'error', file, line: 1, column: 1, field: '', message }] };
}
