import { type CompiledSchema, Compiler } from './compile.ts';
import type { Dialect } from './dialect.ts';
import { brokenReference, type SchemaDocument, type SchemaProblem } from './document.ts';

/** What is wrong with one document of several. */
export interface DocumentProblem extends SchemaProblem {
  readonly uri: string;
}

/** What came of schemas that refer to each other. */
export interface CompiledSet {
  /** By URI: those that are right, as is all that they refer to. */
  readonly schemas: ReadonlyMap<string, CompiledSchema>;
  readonly problems: readonly DocumentProblem[];
}

/** Compiles the documents, each of which may refer to any other. */
export function compileSet(documents: ReadonlyMap<string, SchemaDocument>): CompiledSet {
  const problems: DocumentProblem[] = [];
  const bad = new Set<string>();
  const tell = (uri: string, found: readonly SchemaProblem[]): void => {
    if (found.length > 0) bad.add(uri);
    for (const { pointer, message } of found) problems.push({ uri, pointer, message });
  };
  const compilers = new Map<Dialect, Compiler>();
  for (const document of documents.values()) {
    const compiler = compilers.get(document.dialect) ?? new Compiler(document.dialect);
    compilers.set(document.dialect, compiler);
    const broken = document.references.flatMap((reference) => {
      const message = brokenReference(reference, document, (uri) => documents.get(uri));
      return message === null ? [] : [{ pointer: reference.pointer, message }];
    });
    tell(document.uri, broken.length > 0 ? broken : compiler.add(document));
  }
  addDependants(bad, documents);
  const schemas = new Map<string, CompiledSchema>();
  for (const { uri, dialect } of documents.values()) {
    if (bad.has(uri)) continue;
    const compiled = compilers.get(dialect)?.compile(uri);
    if (compiled === undefined) continue;
    if ('problems' in compiled) tell(uri, compiled.problems);
    else schemas.set(uri, compiled);
  }
  return { schemas, problems };
}

/** What refers to a document that is wrong can't be compiled, though nothing is wrong with it. */
function addDependants(bad: Set<string>, documents: ReadonlyMap<string, SchemaDocument>): void {
  for (let before = -1; before < bad.size; ) {
    before = bad.size;
    for (const { uri, references } of documents.values()) {
      if (references.some((reference) => bad.has(reference.uri))) bad.add(uri);
    }
  }
}
