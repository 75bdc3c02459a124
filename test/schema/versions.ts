import type { Version } from '../../broker/schema/compatibility/compare.ts';
import { Side } from '../../broker/schema/compatibility/side.ts';
import { compileSet } from '../../broker/schema/compile-set.ts';
import { readDocument } from '../../broker/schema/document.ts';

/** A version of a schema that refers to none but itself, or null where it is none. */
export function versionOf(schema: unknown): Version | null {
  const document = readDocument(schema, { uri: 'schemas:///test.json', root: 'schemas:///', isNamed: false });
  if ('problems' in document) return null;
  const documents = new Map([[document.uri, document]]);
  return compileSet(documents).problems.length > 0 ? null : { document, documents };
}

export function sideOf({ document, documents }: Version): Side {
  return new Side(document, documents);
}
