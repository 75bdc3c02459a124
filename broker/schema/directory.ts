import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { messageOf } from '../../runtime/errors.ts';
import { type CompiledSet, compileSet } from './compile-set.ts';
import { readDocument, type SchemaDocument } from './document.ts';

/** A schema is at most so long; more is no schema that people write. */
export const schemaMaxBytes = 1_048_576;

/** What relative `$id`s and references of a directory lie below, where there is no registry that says. */
export const directoryRoot = 'schemas:///';

/** Files of a directory that are read; more are surely another directory than was meant. */
const filesMax = 10_000;

/** Something is wrong with a file of schemas. */
export interface SchemaFileProblem {
  readonly file: string;
  /** A JSON pointer into the file; empty: the whole. */
  readonly pointer: string;
  readonly message: string;
}

/** The schemas of a directory. */
export interface SchemaDirectory extends Pick<CompiledSet, 'schemas'> {
  /** By URI. */
  readonly documents: ReadonlyMap<string, SchemaDocument>;
  /** By URI, the file. */
  readonly files: ReadonlyMap<string, string>;
  readonly problems: readonly SchemaFileProblem[];
}

/**
 * The files of a directory that are schemas, and of those below it, sorted: `*.json`. Links to files are followed,
 * hidden names and links to directories are not, as with manifests.
 * @throws the error of the file system
 */
export async function schemaFilesIn(directory: string): Promise<string[]> {
  const files: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const path = join(directory, entry.name);
    if (entry.isDirectory()) files.push(...(await schemaFilesIn(path)));
    else if (entry.name.endsWith('.json') && (await isFileOrGone(path))) files.push(path);
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

/**
 * Reads and compiles schemas. Never rejects: what is wrong is among the problems.
 * @param root what relative `$id`s and references lie below; ends in `/`
 */
export async function readSchemas(
  directory: string,
  files: readonly string[],
  root: string = directoryRoot,
): Promise<SchemaDirectory> {
  const problems: SchemaFileProblem[] = [];
  const documents = new Map<string, SchemaDocument>();
  const fileOf = new Map<string, string>();
  if (files.length > filesMax) {
    problems.push({ file: directory, pointer: '', message: `has ${files.length} files, at most ${filesMax} are read` });
  }
  for (const file of files.slice(0, filesMax)) {
    const schema = await readSchemaFile(file);
    const path = relative(directory, file).split(sep).map(encodeURIComponent).join('/');
    const read =
      'problem' in schema
        ? { problems: [{ pointer: '', message: schema.problem }] }
        : readDocument(schema.value, { uri: root + path, root, isNamed: false });
    if ('problems' in read) {
      problems.push(...read.problems.map((problem) => ({ file, ...problem })));
      continue;
    }
    const other = fileOf.get(read.uri);
    if (other === undefined) {
      documents.set(read.uri, read);
      fileOf.set(read.uri, file);
    } else {
      problems.push({ file, pointer: '/$id', message: `${read.uri} is also what ${other} is called; keep one` });
    }
  }
  const { schemas, problems: more } = compileSet(documents);
  for (const { uri, pointer, message } of more) problems.push({ file: fileOf.get(uri) ?? uri, pointer, message });
  return { schemas, documents, files: fileOf, problems };
}

/** The JSON of a file, or why there is none. */
export async function readSchemaFile(file: string): Promise<{ value: unknown } | { problem: string }> {
  try {
    const { size } = await stat(file);
    if (size > schemaMaxBytes) return { problem: `the file has ${size} bytes, at most ${schemaMaxBytes} are read` };
    return parseSchema(await readFile(file, 'utf8'));
  } catch (error) {
    return { problem: `can't be read: ${messageOf(error)}` };
  }
}

export function parseSchema(text: string): { value: unknown } | { problem: string } {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { problem: `is not JSON: ${messageOf(error)}` };
  }
}

/** `schemas/order.json#/properties/id: must be …` */
export function schemaProblemText({ file, pointer, message }: SchemaFileProblem): string {
  return `${file}${pointer === '' ? '' : `#${pointer}`}: ${message}`;
}
