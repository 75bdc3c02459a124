import { formatPointer } from '../../../event/json-pointer.ts';
import type { SchemaDocument } from '../document.ts';
import { detailOf } from '../violation.ts';
import { Prover } from './prove.ts';
import { Samples } from './samples.ts';
import { Side } from './side.ts';

/**
 * What a new version has to do with the old one, in the words of Confluent's Schema Registry. `BACKWARD`: who reads by
 * the new schema can read what was written by the old: the new accepts all that the old does. `FORWARD`: who reads by
 * the old can read what is written by the new. `FULL`: both.
 */
export const modes = ['BACKWARD', 'FORWARD', 'FULL'] as const;
export type Mode = (typeof modes)[number];
export type Direction = Exclude<Mode, 'FULL'>;

/** One of the two schemas. */
export interface Version {
  readonly document: SchemaDocument;
  /** With all that it refers to, and itself, by URI. */
  readonly documents: ReadonlyMap<string, SchemaDocument>;
}

/** Why two versions are not compatible, or not certainly so. */
export interface Reason {
  readonly direction: Direction;
  /** Into the schema that accepts less (the new one where it is BACKWARD, else the old one), or into one it refers to. */
  readonly pointer: string;
  readonly message: string;
  /** JSON that the one accepts and the other does not; null: none was found, so it may be no reason. */
  readonly example: string | null;
}

export interface Comparison {
  readonly verdict: 'compatible' | 'incompatible' | 'undecided';
  readonly reasons: readonly Reason[];
}

/** Reasons that are told of one direction at most. */
const reasonsMax = 10;

/** Compatible only where it is proven, incompatible only where an example shows it. */
export function compare(before: Version, after: Version, mode: Mode): Comparison {
  const reasons: Reason[] = [];
  if (mode !== 'FORWARD') reasons.push(...reasonsOf('BACKWARD', before, after));
  if (mode !== 'BACKWARD') reasons.push(...reasonsOf('FORWARD', after, before));
  const isShown = reasons.some(({ example }) => example !== null);
  return { verdict: isShown ? 'incompatible' : reasons.length > 0 ? 'undecided' : 'compatible', reasons };
}

/** Why not all that the one accepts is accepted by the other. */
function reasonsOf(direction: Direction, narrow: Version, wide: Version): readonly Reason[] {
  const sides = [narrow, wide].map(({ document, documents }) => new Side(document, documents));
  const [left, right] = sides as [Side, Side];
  const findings = new Prover(left, right).prove();
  const shown = new Map<string, Reason>();
  const samples = [...new Samples(left, right).make()];
  // The shortest shows best.
  samples.sort((a, b) => JSON.stringify(a).length - JSON.stringify(b).length);
  for (const value of samples) {
    if (shown.size >= reasonsMax) break;
    if (left.error(value) !== null) continue;
    const error = right.error(value);
    if (!error) continue;
    const pointer = pointerOf(error.schemaPath, wide);
    const { pointer: at, detail } = detailOf(error);
    const message = `${at === '' ? 'the data' : at} ${detail}`;
    const id = `${pointer} ${message}`;
    if (!shown.has(id)) shown.set(id, { direction, pointer, message, example: JSON.stringify(value) });
  }
  const reasons = [...shown.values()];
  for (const { uri, pointer: inside, message } of findings) {
    const pointer = uri === wide.document.uri ? inside : `${uri}#${inside}`;
    if (reasons.some((one) => one.pointer === pointer) || reasons.length >= reasonsMax) continue;
    reasons.push({ direction, pointer, message, example: null });
  }
  return reasons;
}

/** Of ajv's path, which begins with the URI of another document where the keyword is in one. */
function pointerOf(schemaPath: string, { document, documents }: Version): string {
  const uri = [...documents.keys()].find((one) => schemaPath.startsWith(one)) ?? '';
  const tokens = schemaPath.slice(uri.length).replace(/^#/, '').split('/').slice(1);
  const pointer = formatPointer(tokens.map((token) => unescaped(token)));
  return uri === '' || uri === document.uri ? pointer : `${uri}#${pointer}`;
}

function unescaped(token: string): string {
  try {
    return decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    return token;
  }
}
