import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseAllDocuments,
  visit,
  type YAMLMap,
} from 'yaml';
import { messageOf } from '../../runtime/errors.ts';
import { formatPath, type Path } from './manifest-field.ts';
import { offsetInSource } from './manifest-offset.ts';

/** Line and column, both from 1; columns count UTF-16 units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface PlacedMessage extends Position {
  readonly field: string;
  readonly message: string;
}

/** One document of a YAML file as plain JSON, and where each of its parts stands. */
export interface YamlDocument {
  readonly value: unknown;
  /** What makes it no JSON: duplicate keys, keys that are no strings, aliases that run away. */
  readonly errors: readonly PlacedMessage[];
  /**
   * Where the key or the value at the path stands; for a path that is not there, the nearest part above it.
   * @param offset which character of a string is meant, from 0, in UTF-16 units; null: all of it
   */
  locate(path: Path, at: 'key' | 'value', offset: number | null): Position;
  /** The value at the path as it was typed, where it is a scalar without quotes or tag; else null. */
  writtenAs(path: Path): string | null;
}

/** Deeper than any manifest, and shallow enough for every recursion. */
const depthMax = 100;

/** What aliases may add to a document, in nodes. A few shared blocks take some hundred; a bomb takes billions. */
const aliasedNodesMax = 10_000;

/**
 * Reads a YAML 1.2 file of any number of documents; JSON is YAML too. A document with a syntax error is left out.
 * Merge keys (`<<`), which Kubernetes reads as well, are merged. Never throws.
 */
export function readYaml(text: string): { documents: YamlDocument[]; errors: PlacedMessage[] } {
  const lines = new LineCounter();
  try {
    const parsed = [
      ...parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, logLevel: 'silent' }),
    ];
    const errors = parsed.flatMap((document) => syntaxErrors(document, lines));
    const readable = parsed.filter((document) => document.errors.length === 0);
    return { documents: readable.map((document) => new Reading(document, text, lines).result()), errors };
  } catch (error) {
    const message = isStackOverflow(error) ? tooDeep : sentence(messageOf(error));
    return { documents: [], errors: [{ line: 1, column: 1, field: '', message }] };
  }
}

/** Some of the parser's messages quote all that they could not read. */
const messageCharactersMax = 200;

const tooDeep = 'nested too deeply to be read';

/** The parser recurses without a bound of its own, and keeps what it throws as an error of the document. */
function isStackOverflow(error: unknown): boolean {
  return /maximum call stack/i.test(messageOf(error));
}

/** The first, and how many come after it: most of those are its consequences, and a file of prose has hundreds. */
function syntaxErrors(document: Document, lines: LineCounter): PlacedMessage[] {
  const [first, ...more] = document.errors.toSorted((a, b) => a.pos[0] - b.pos[0]);
  if (first === undefined) return [];
  const overflow = document.errors.find(isStackOverflow);
  if (overflow !== undefined) return [{ ...position(lines, overflow.pos[0]), field: '', message: tooDeep }];
  const others = more.length === 0 ? '' : `; ${more.length} more ${more.length === 1 ? 'error' : 'errors'} after it`;
  return [{ ...position(lines, first.pos[0]), field: '', message: `${sentence(first.message)}${others}` }];
}

function position(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

function placeText({ line, column }: Position): string {
  return `${line}:${column}`;
}

function sentence(message: string): string {
  const cut = message.length > messageCharactersMax ? `${message.slice(0, messageCharactersMax)}…` : message;
  return `not YAML: ${cut.charAt(0).toLowerCase()}${cut.slice(1)}`;
}

interface Entry {
  readonly pair: Pair<unknown, unknown>;
  readonly merged: boolean;
}

class Reading {
  readonly #document: Document;
  readonly #text: string;
  readonly #lines: LineCounter;
  readonly #errors: PlacedMessage[] = [];
  readonly #targets: Map<Alias, unknown>;
  readonly #entriesOf = new Map<YAMLMap, ReadonlyMap<string, Entry>>();
  #aliasedNodes = 0;

  constructor(document: Document, text: string, lines: LineCounter) {
    this.#document = document;
    this.#text = text;
    this.#lines = lines;
    this.#targets = aliasTargets(document);
  }

  result(): YamlDocument {
    const value = this.#json(this.#document.contents, [], false);
    return {
      value,
      errors: this.#errors,
      locate: (path, at, offset) => this.#placeWithin(path, offset) ?? this.#locate(path, at),
      writtenAs: (path) => this.#writtenAs(path),
    };
  }

  #json(node: unknown, path: Path, aliased: boolean): unknown {
    if (aliased) this.#aliasedNodes += 1;
    if (this.#aliasedNodes > aliasedNodesMax) {
      if (this.#aliasedNodes === aliasedNodesMax + 1) {
        this.#aliasedNodes += 1;
        this.#error(node, path, `aliases make more than ${aliasedNodesMax} values; write them out`);
      }
      return null;
    }
    if (path.length > depthMax) {
      this.#error(node, path.slice(0, 3), `nested more than ${depthMax} deep, or an alias within its own anchor`);
      return null;
    }
    if (isAlias(node)) {
      const target = this.#resolve(node);
      if (target === undefined) this.#error(node, path, `there is no anchor &${node.source} before it`);
      return this.#json(target, path, true);
    }
    if (isMap(node)) return this.#object(node, path, aliased);
    if (isSeq(node)) return node.items.map((item, index) => this.#json(item, [...path, index], aliased));
    return isScalar(node) ? node.value : null;
  }

  #object(map: YAMLMap, path: Path, aliased: boolean): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    const own = new Map<string, unknown>();
    for (const { key } of map.items) {
      if (!isScalar(key) || typeof key.value !== 'string') {
        this.#error(key, path, 'a key must be a string; write it in quotes');
        continue;
      }
      const first = own.get(key.value);
      if (first === undefined) own.set(key.value, key);
      else this.#error(key, [...path, key.value], `given twice, first at ${placeText(this.#at(first))}; keep one`);
    }
    for (const [key, { pair, merged }] of this.#entries(map)) {
      const json = this.#json(pair.value, [...path, key], aliased || merged);
      Object.defineProperty(object, key, { value: json, writable: true, enumerable: true, configurable: true });
    }
    return object;
  }

  /** The entries of a map by key, those of its merge keys included, which its own override. */
  #entries(map: YAMLMap): ReadonlyMap<string, Entry> {
    const known = this.#entriesOf.get(map);
    if (known !== undefined) return known;
    const entries = new Map<string, Entry>();
    // Kept before it is filled, so that a map which merges itself ends here.
    this.#entriesOf.set(map, entries);
    for (const source of map.items
      .filter(({ key }) => isMergeKey(key))
      .flatMap(({ value }) => this.#mergedMaps(value))) {
      for (const [name, { pair }] of this.#entries(source)) {
        if (!entries.has(name)) entries.set(name, { pair, merged: true });
      }
    }
    for (const pair of map.items) {
      const { key } = pair;
      if (!isScalar(key) || typeof key.value !== 'string' || isMergeKey(key)) continue;
      entries.set(key.value, { pair, merged: false });
    }
    return entries;
  }

  #mergedMaps(value: unknown): YAMLMap[] {
    const target = isAlias(value) ? this.#resolve(value) : value;
    const sources = isSeq(target) ? target.items : [target];
    return sources
      .map((source) => (isAlias(source) ? this.#resolve(source) : source))
      .filter((source) => isMap(source));
  }

  #resolve(alias: Alias): unknown {
    return this.#targets.get(alias);
  }

  #locate(path: Path, at: 'key' | 'value'): Position {
    let node: unknown = this.#document.contents;
    let place = this.#at(node);
    for (const [index, step] of path.entries()) {
      const entry = this.#step(node, step);
      if (entry === undefined) return place;
      const valuePlace = hasText(entry.value) ? this.#at(entry.value) : undefined;
      const keyPlace = entry.key === undefined ? valuePlace : this.#at(entry.key);
      const last = index === path.length - 1;
      place = (last && at === 'value' ? valuePlace : keyPlace) ?? keyPlace ?? place;
      node = entry.value;
    }
    return place;
  }

  /** Where that character of the string at the path was typed; of an alias, where its anchor is. */
  #placeWithin(path: Path, offset: number | null): Position | undefined {
    const node = offset === null ? undefined : this.#nodeAt(path);
    if (offset === null || !isScalar(node) || typeof node.value !== 'string' || !node.range) return undefined;
    const [start, end] = node.range;
    return position(this.#lines, start + offsetInSource(this.#text.slice(start, end), node.value, offset));
  }

  #nodeAt(path: Path): unknown {
    let node: unknown = this.#document.contents;
    for (const step of path) node = this.#step(node, step)?.value;
    return isAlias(node) ? this.#resolve(node) : node;
  }

  #writtenAs(path: Path): string | null {
    const node = this.#nodeAt(path);
    return isScalar(node) && node.type === 'PLAIN' && node.tag === undefined ? (node.source ?? null) : null;
  }

  #step(node: unknown, step: string | number): { key: unknown; value: unknown } | undefined {
    const target = isAlias(node) ? this.#resolve(node) : node;
    if (typeof step === 'string') return isMap(target) ? this.#entries(target).get(step)?.pair : undefined;
    if (!isSeq(target) || step >= target.items.length) return undefined;
    return { key: undefined, value: target.items[step] };
  }

  #at(node: unknown): Position {
    return position(this.#lines, startOf(node) ?? startOf(this.#document.contents) ?? 0);
  }

  #error(node: unknown, path: Path, message: string): void {
    this.#errors.push({ ...this.#at(node), field: formatPath(path), message });
  }
}

/** What each alias stands for. (The library's own search walks the whole document for every alias.) */
function aliasTargets(document: Document): Map<Alias, unknown> {
  const anchors = new Map<string, unknown>();
  const targets = new Map<Alias, unknown>();
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) targets.set(node, anchors.get(node.source));
      else if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return targets;
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.value === '<<' && key.type === 'PLAIN';
}

function startOf(node: unknown): number | undefined {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range?.[0] : undefined;
}

/** Whether a value was typed at all: after `key:` alone stands a null that has no place of its own. */
function hasText(node: unknown): boolean {
  return !isScalar(node) || node.value !== null || Boolean(node.source);
}
