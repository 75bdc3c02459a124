import type { FormatName } from 'ajv-formats';
import { itemNodes, kindsOf, listed, longest, propertyNodes, requiredNames } from './facts.ts';
import { child, type Flat, idOf, indexes, type Node, namesOf, type Side, stable } from './side.ts';

/** Values of one subschema that are made at most, and how deep they go. */
const valuesMax = 60;
const depthMax = 5;
/** Of each member of an object or array. */
const membersMax = 12;
/** Texts and arrays are made no longer, whatever the schemas say. */
const textCharactersMax = 300;
const itemsMax = 20;

const formatSamples: Readonly<Partial<Record<FormatName, string>>> = {
  date: '2026-01-31',
  time: '10:00:00Z',
  'date-time': '2026-01-31T10:00:00Z',
  duration: 'P1D',
  uri: 'https://example.com/a',
  'uri-reference': '/a',
  'uri-template': 'https://example.com/{a}',
  email: 'a@example.com',
  hostname: 'example.com',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  uuid: '00000000-0000-4000-8000-000000000000',
  regex: '^a$',
  'json-pointer': '/a',
  'relative-json-pointer': '0/a',
  byte: 'YQ==',
};

/**
 * Values that may be valid under a schema and may not be so under another: those at and just beyond every bound that
 * either has. The caller tries them.
 */
export class Samples {
  readonly #narrow: Side;
  readonly #wide: Side;
  /** What was made before, by the subschemas it was made of: those of which nothing is said come up everywhere. */
  readonly #made = new Map<string, readonly unknown[]>();

  constructor(narrow: Side, wide: Side) {
    this.#narrow = narrow;
    this.#wide = wide;
  }

  make(): readonly unknown[] {
    return this.#of([this.#narrow.root], [this.#wide.root], 0);
  }

  #of(narrow: readonly Node[], wide: readonly Node[], depth: number): readonly unknown[] {
    const key = JSON.stringify([depth, narrow.map(idOf), wide.map(idOf)]);
    const made = this.#made.get(key) ?? this.#make(narrow, wide, depth);
    this.#made.set(key, made);
    return made;
  }

  #make(narrow: readonly Node[], wide: readonly Node[], depth: number): readonly unknown[] {
    const made = new Map<string, unknown>();
    const add = (value: unknown): void => {
      if (made.size < valuesMax) made.set(stable(value), value);
    };
    const hints = branchesOf(this.#wide, wide);
    for (const flat of branchesOf(this.#narrow, narrow)) {
      if (flat.isNever) continue;
      for (const value of this.#ofOne(flat, hints, depth)) add(value);
    }
    return [...made.values()];
  }

  #ofOne(flat: Flat, hints: readonly Flat[], depth: number): readonly unknown[] {
    const kinds = kindsOf(this.#narrow, flat);
    const values = listed(flat, kinds);
    if (values !== null) return values;
    const hinted = hints.flatMap((hint) => listed(hint, kindsOf(this.#wide, hint)) ?? []);
    const all = [flat, ...hints];
    const areNumbers = kinds.has('integer') || kinds.has('fraction');
    return mixed([
      hinted,
      kinds.has('object') ? this.#objects(flat, hints, depth) : [],
      kinds.has('array') ? this.#arrays(flat, hints, depth) : [],
      kinds.has('string') ? texts(all) : [],
      areNumbers ? numbers(all) : [],
      kinds.has('boolean') ? [true, false] : [],
      kinds.has('null') ? [null] : [],
    ]);
  }

  #objects(flat: Flat, hints: readonly Flat[], depth: number): unknown[] {
    const nodesOf = (one: Flat, name: string): Node[] => one.parts.flatMap((part) => propertyNodes(part, name));
    const samplesOf = (name: string): readonly unknown[] => {
      if (depth >= depthMax) return [];
      const wide = hints.flatMap((hint) => nodesOf(hint, name));
      const made = this.#of(nodesOf(flat, name), wide, depth + 1);
      return this.#valid(nodesOf(flat, name), made).slice(0, membersMax);
    };
    const required = [...requiredNames(flat)];
    const known = new Map([...required].map((name) => [name, samplesOf(name)]));
    const base = Object.fromEntries(required.map((name) => [name, known.get(name)?.[0] ?? null]));
    const parts = [flat, ...hints].flatMap((one) => one.parts);
    const names = new Set([...parts.flatMap(({ schema }) => namesOf(schema.properties)), ...required, 'another', 'b1']);
    for (const one of hints) for (const name of requiredNames(one)) names.add(name);
    const found: unknown[] = [base];
    const whole: Record<string, unknown> = { ...base };
    for (const name of names) {
      const values = known.get(name) ?? samplesOf(name);
      for (const value of values) found.push({ ...base, [name]: value });
      if (values.length > 0) whole[name] = values[0];
    }
    // All but one, too: what a schema asks for is often one that is missing from otherwise whole data.
    const { another, b1, ...plain } = whole;
    found.splice(1, 0, plain);
    for (const name of names) {
      const { [name]: left, ...others } = plain;
      found.push(others);
    }
    return found;
  }

  #arrays(flat: Flat, hints: readonly Flat[], depth: number): unknown[] {
    const found: unknown[] = [[]];
    if (depth >= depthMax) return found;
    const samplesAt = (index: number): readonly unknown[] => {
      const nodes = itemNodes(flat, index);
      const wide = hints.flatMap((hint) => itemNodes(hint, index));
      return this.#valid(nodes, this.#of(nodes, wide, depth + 1)).slice(0, membersMax);
    };
    const lengths = bounds([flat, ...hints], ['minItems', 'maxItems']).filter((n) => n >= 0 && n <= itemsMax);
    const most = Math.min(longest(flat) ?? itemsMax, itemsMax);
    const [first, second] = [samplesAt(0), samplesAt(1)];
    for (const length of new Set([1, 2, 3, ...lengths])) {
      if (length > most || length === 0) continue;
      const filled = (at: (index: number) => unknown): unknown[] => Array.from({ length }, (_, index) => at(index));
      found.push(filled((index) => (index === 0 ? first[0] : second[0]) ?? null));
      found.push(filled((index) => (index === 0 ? first[0] : second[index % Math.max(1, second.length)]) ?? null));
      for (const value of first) found.push(filled((index) => (index === 0 ? value : (second[0] ?? null))));
      for (const value of second)
        if (length > 1) found.push(filled((index) => (index === 1 ? value : (first[0] ?? null))));
    }
    return found;
  }

  #valid(nodes: readonly Node[], values: readonly unknown[]): unknown[] {
    return values.filter((value) => nodes.every((node) => this.#narrow.accepts(node, value) !== false));
  }
}

/** What holds by each alternative of the outermost `anyOf` and `oneOf`. */
function branchesOf(side: Side, nodes: readonly Node[]): readonly Flat[] {
  const flat = side.flatten(nodes);
  for (const part of flat.parts) {
    for (const keyword of ['anyOf', 'oneOf']) {
      const branches = indexes(part.schema[keyword]);
      if (branches.length > 0) return branches.map((index) => side.flatten([...nodes, child(part, keyword, index)]));
    }
  }
  return [flat];
}

/** The first of each list, then the second of each: only some of them may be looked at. */
function mixed(lists: readonly (readonly unknown[])[]): readonly unknown[] {
  const most = Math.max(...lists.map((list) => list.length));
  return Array.from({ length: most }, (_, index) => lists.flatMap((list) => list.slice(index, index + 1))).flat();
}

function bounds(flats: readonly Flat[], keywords: readonly string[]): number[] {
  const given = flats.flatMap(({ parts }) => parts.flatMap(({ schema }) => keywords.map((name) => schema[name])));
  return given.filter((value) => typeof value === 'number').flatMap((value) => [value, value - 1, value + 1]);
}

function numbers(flats: readonly Flat[]): number[] {
  const at = bounds(flats, ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum']);
  const multiples = bounds(flats, ['multipleOf']).filter((value) => value > 0);
  const halves = at.flatMap((value) => [value + 0.5, value - 0.5]);
  const all = [0, 1, -1, 0.5, ...at, ...halves, ...multiples, ...multiples.map((value) => 2 * value), 1_000_001];
  const aligned = multiples.flatMap((step) => at.map((value) => Math.ceil(value / step) * step));
  return [...all, ...aligned].filter((value) => Number.isFinite(value));
}

function texts(flats: readonly Flat[]): string[] {
  const lengths = bounds(flats, ['minLength', 'maxLength']).filter((n) => n >= 0 && n <= textCharactersMax);
  const formats = flats.flatMap(({ parts }) => parts.map(({ schema }) => formatSamples[schema.format as FormatName]));
  return [
    ...['a', ''],
    ...formats.filter((text) => text !== undefined),
    ...lengths.map((length) => 'a'.repeat(length)),
    ...['1', 'A', 'a b', 'a1', 'A1', 'a-b', '0', 'https://example.com/a', '2026-01-31', '2026-01-31T10:00:00Z', 'é'],
  ];
}
