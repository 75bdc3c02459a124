import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Version } from '../../broker/schema/compatibility/compare.ts';
import { compileSet } from '../../broker/schema/compile-set.ts';
import {
  directoryRoot,
  readSchemaFile,
  readSchemas,
  schemaFilesIn,
  schemaProblemText,
} from '../../broker/schema/directory.ts';
import { isMetaSchema, readDocument, type SchemaDocument } from '../../broker/schema/document.ts';
import type { SchemaFetcher } from '../../broker/schema/fetch.ts';
import { UsageError } from '../../runtime/errors.ts';
import { fileProblem } from '../../runtime/file-problem.ts';

/** Schemas that one may refer to, over all steps. */
const referencesMax = 1_000;

/** What was found at a name: JSON, or why there is none. */
type Read = { readonly value: unknown } | { readonly problem: string };

export function isUrl(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

/** @throws UsageError where there is nothing */
export async function isDirectory(path: string): Promise<boolean> {
  const found = await stat(path).catch((error: unknown) => {
    throw new UsageError(`${path}: ${fileProblem(error, 'file')}; name a JSON Schema, or a directory of them`);
  });
  return found.isDirectory();
}

/**
 * The schema of a file, with those of its directory and below that it refers to.
 * @throws UsageError
 */
export async function fileVersion(file: string): Promise<Version> {
  const read = await readSchemaFile(file);
  if ('problem' in read) throw new UsageError(`${file}: ${read.problem}`);
  const uri = pathToFileURL(resolve(file)).href;
  const own = documentOf(read.value, file, uri, false);
  // A reference is meant as it leads from one file to the other, whatever the files are called by their $id.
  const base = new URL('.', own.uri).href;
  return await withReferences(own, file, async (wanted) => {
    if (!wanted.startsWith(base)) return { problem: `is not below ${base}; check directories against each other` };
    const path = decodeURIComponent(wanted.slice(base.length));
    return await readSchemaFile(join(dirname(file), path));
  });
}

/**
 * The schema that a URL has, with those that it refers to on the same server; null: there is none.
 * @throws UsageError
 */
export async function urlVersion(url: string, fetcher: SchemaFetcher, root: string): Promise<Version | null> {
  const get = async (wanted: string): Promise<Read | null> => {
    const answer = await fetcher.get(wanted, null);
    if (answer.kind === 'schema') return answer;
    if (answer.kind === 'absent' && wanted === url) return null;
    return { problem: answer.kind === 'unchanged' ? 'answers 304' : `can't be had: ${answer.reason}` };
  };
  const read = await get(url);
  if (read === null) return null;
  if ('problem' in read) throw new UsageError(`${url} ${read.problem}`);
  const own = documentOf(read.value, url, url, true, root);
  return await withReferences(own, url, async (wanted) => {
    if (!wanted.startsWith(`${new URL(url).origin}/`)) return { problem: 'is on another server' };
    return (await get(wanted)) ?? { problem: "can't be had" };
  });
}

/**
 * The schemas of a directory by what they are called: their URI, or their path where they have no `$id`.
 * @param root what relative names lie below; ends in `/`
 * @throws UsageError with every problem of the directory
 */
export async function directoryVersions(
  directory: string,
  root: string = directoryRoot,
): Promise<Map<string, Version>> {
  const files = await schemaFilesIn(directory);
  if (files.length === 0)
    throw new UsageError(`no *.json in ${directory} or below it; name a directory of JSON Schemas`);
  const { documents, problems } = await readSchemas(directory, files, root);
  if (problems.length > 0) throw new UsageError(problems.map(schemaProblemText).join('\n'));
  return new Map(
    [...documents.values()].map((document) => {
      const needed = new Map([[document.uri, document]]);
      for (const one of needed.values()) {
        for (const { uri } of one.references) {
          const target = documents.get(uri);
          if (target !== undefined) needed.set(uri, target);
        }
      }
      return [document.uri, { document, documents: needed }];
    }),
  );
}

/** @param place what names it in messages */
function documentOf(
  value: unknown,
  place: string,
  uri: string,
  isNamed: boolean,
  root = directoryRoot,
): SchemaDocument {
  const read = readDocument(value, { uri, root, isNamed });
  if (!('problems' in read)) return read;
  throw new UsageError(read.problems.map((problem) => schemaProblemText({ file: place, ...problem })).join('\n'));
}

/** Reads what it refers to, over all steps, and checks all of it. */
async function withReferences(
  document: SchemaDocument,
  place: string,
  get: (uri: string) => Promise<Read>,
): Promise<Version> {
  const documents = new Map([[document.uri, document]]);
  for (const { references, embedded } of documents.values()) {
    for (const { uri, pointer } of references) {
      if (documents.has(uri) || embedded.has(uri) || isMetaSchema(uri)) continue;
      if (documents.size > referencesMax) throw new UsageError(`${place} refers to more than ${referencesMax} schemas`);
      const read = await get(uri);
      if ('problem' in read) {
        throw new UsageError(
          schemaProblemText({ file: place, pointer, message: `leads to ${uri}, which ${read.problem}` }),
        );
      }
      documents.set(uri, { ...documentOf(read.value, uri, uri, true), uri });
    }
  }
  const { problems } = compileSet(documents);
  if (problems.length === 0) return { document, documents };
  const text = ({ uri, ...problem }: (typeof problems)[number]): string =>
    schemaProblemText({ file: uri === document.uri ? place : uri, ...problem });
  throw new UsageError(problems.map(text).join('\n'));
}
