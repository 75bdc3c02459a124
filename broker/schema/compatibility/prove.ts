import { formatPointer } from '../../../event/json-pointer.ts';
import { formatNames } from '../compile.ts';
import { isMultiple } from '../keywords.ts';
import { isDisjoint } from './disjoint.ts';
import { extreme, type Kind, kindsOf, listed, lowerBound, upperBound } from './facts.ts';
import { proveArray } from './prove-array.ts';
import { proveObject } from './prove-object.ts';
import { child, type Flat, idOf, indexes, type Node, type Part, type Side } from './side.ts';

/** Something that could not be proven. */
export interface Finding {
  /** The document that it is in. */
  readonly uri: string;
  /** Of the keyword there. */
  readonly pointer: string;
  readonly message: string;
}

/** What is known when a part of the wider schema is looked at. */
export interface Claim {
  /** What the narrower schema says. */
  readonly flat: Flat;
  readonly kinds: ReadonlySet<Kind>;
  /** The part that all that is valid under the narrower must satisfy. */
  readonly part: Part;
}

/** A proof that takes more steps is given up. */
const stepsMax = 20_000;

/** Alternatives within alternatives that are looked at one by one. */
const splitsMax = 4;

/**
 * Proves that whatever is valid under one schema is valid under another. What it does not find is not proven, which
 * says nothing of whether it is so. Each rule leaves out what it has no use for on the narrower side, which only makes
 * that side wider, and proves each keyword on the wider side or says that it could not.
 */
export class Prover {
  readonly narrow: Side;
  readonly wide: Side;
  /** Claims that are being proven, with how deep in the value: met again further inside they may be taken for granted. */
  readonly #open = new Map<string, number>();
  #depth = 0;
  #steps = 0;

  constructor(narrow: Side, wide: Side) {
    this.narrow = narrow;
    this.wide = wide;
  }

  /** @returns what keeps it from being proven; empty: it is */
  prove(): readonly Finding[] {
    return this.includes([this.narrow.root], this.wide.root);
  }

  /** The same of a member of the value. */
  inside(narrow: readonly Node[], wide: Node): readonly Finding[] {
    this.#depth++;
    const findings = this.includes(narrow, wide);
    this.#depth--;
    return findings;
  }

  /** @param split the alternatives of the narrower side that are chosen already */
  includes(narrow: readonly Node[], wide: Node, split: ReadonlySet<string> = new Set()): readonly Finding[] {
    if (wide.schema === true) return [];
    this.#steps++;
    if (this.#steps > stepsMax) return [finding(wide, null, 'is too much to be decided')];
    const claim = `${narrow.map(idOf).sort().join(' ')} in ${idOf(wide)}`;
    const before = this.#open.get(claim);
    // Any value has an end: what is claimed of its members is proven by the same steps.
    if (before !== undefined) return before < this.#depth ? [] : [finding(wide, null, 'refers to itself')];
    this.#open.set(claim, this.#depth);
    try {
      const findings = this.#includesAll(narrow, wide);
      if (findings.length === 0 || split.size >= splitsMax) return findings;
      return this.#splits(narrow, wide, split) ? [] : findings;
    } finally {
      this.#open.delete(claim);
    }
  }

  #includesAll(narrow: readonly Node[], wide: Node): readonly Finding[] {
    const flat = this.narrow.flatten(narrow);
    const kinds = kindsOf(this.narrow, flat);
    if (kinds.size === 0) return [];
    const target = this.wide.flatten([wide]);
    const byValues = this.#includesValues(narrow, listed(flat, kinds), wide);
    if (byValues !== null) return byValues;
    const findings = target.opaque.map((node) => finding(node, null, 'leads to where nothing is known'));
    if (target.isNever) findings.push(finding(wide, null, 'allows nothing any more'));
    for (const part of target.parts) findings.push(...this.#includesPart({ flat, kinds, part }));
    return findings;
  }

  /** Values that can be listed are tried. Null: they can't be. */
  #includesValues(narrow: readonly Node[], values: readonly unknown[] | null, wide: Node): readonly Finding[] | null {
    if (values === null) return null;
    for (const value of values) {
      if (narrow.some((node) => this.narrow.accepts(node, value) === false)) continue;
      const isAccepted = this.wide.accepts(wide, value);
      if (isAccepted === undefined) return null;
      if (!isAccepted) return [finding(wide, null, `does not accept ${JSON.stringify(value)?.slice(0, 60)}`)];
    }
    return [];
  }

  /** One of several alternatives holds: each leads there. */
  #splits(narrow: readonly Node[], wide: Node, split: ReadonlySet<string>): boolean {
    for (const part of this.narrow.flatten(narrow).parts) {
      for (const keyword of ['anyOf', 'oneOf']) {
        const branches = indexes(part.schema[keyword]);
        const id = `${idOf(part)}/${keyword}`;
        if (branches.length === 0 || split.has(id)) continue;
        const chosen = new Set([...split, id]);
        return branches.every((index) => {
          return this.includes([...narrow, child(part, keyword, index)], wide, chosen).length === 0;
        });
      }
    }
    return false;
  }

  #includesPart(claim: Claim): readonly Finding[] {
    const { part } = claim;
    const unevaluated = ['unevaluatedItems', 'unevaluatedProperties'].filter((keyword) => keyword in part.schema);
    // They depend on all that stands beside them.
    if (unevaluated.length > 0 && !this.isSame(claim)) {
      return unevaluated.map((keyword) => finding(part, keyword, 'stands in a schema that has changed'));
    }
    return [
      ...this.#proveKinds(claim),
      ...this.#proveNumber(claim),
      ...this.#proveString(claim),
      ...proveArray(this, claim),
      ...proveObject(this, claim),
      ...this.#proveCombined(claim),
    ];
  }

  /** Whether the narrower side has the same, in one of its parts: of all keywords, or of these. */
  isSame({ flat, part }: Claim, ...keywords: readonly string[]): boolean {
    const textOf = (side: Side, one: Part): string | null =>
      keywords.length === 0 ? side.fingerprint(child(one)) : side.fingerprint(one, keywords);
    const wanted = textOf(this.wide, part);
    return wanted !== null && flat.parts.some((one) => textOf(this.narrow, one) === wanted);
  }

  #proveKinds({ flat, kinds, part }: Claim): readonly Finding[] {
    const { schema } = part;
    const findings: Finding[] = [];
    const allowed = kindsOf(this.wide, {
      parts: [{ ...part, schema: picked(schema, ['type', 'nullable']) }],
      isNever: false,
      opaque: [],
    });
    const more = [...kinds].filter((kind) => !allowed.has(kind));
    if (more.length > 0) findings.push(finding(part, 'type', `does not allow ${more.map(kindName).join(' or ')}`));
    for (const keyword of ['enum', 'const']) {
      // The values of the narrower side were tried before, if it has any.
      if (keyword in schema && !this.isSame({ flat, kinds, part }, keyword)) {
        findings.push(finding(part, keyword, 'allows certain values only'));
      }
    }
    return findings;
  }

  #proveNumber({ flat, kinds, part }: Claim): readonly Finding[] {
    if (!kinds.has('integer') && !kinds.has('fraction')) return [];
    const areIntegers = !kinds.has('fraction');
    const findings: Finding[] = [];
    const own = { parts: [part], isNever: false, opaque: [] };
    const [least, leastNow] = [lowerBound(flat, areIntegers), lowerBound(own, areIntegers)];
    if (
      leastNow !== null &&
      (least === null || least.at < leastNow.at || (least.at === leastNow.at && leastNow.isOpen && !least.isOpen))
    ) {
      findings.push(
        finding(part, 'exclusiveMinimum' in part.schema ? 'exclusiveMinimum' : 'minimum', 'is higher than before'),
      );
    }
    const [most, mostNow] = [upperBound(flat, areIntegers), upperBound(own, areIntegers)];
    if (
      mostNow !== null &&
      (most === null || most.at > mostNow.at || (most.at === mostNow.at && mostNow.isOpen && !most.isOpen))
    ) {
      findings.push(
        finding(part, 'exclusiveMaximum' in part.schema ? 'exclusiveMaximum' : 'maximum', 'is lower than before'),
      );
    }
    const { multipleOf } = part.schema;
    if (typeof multipleOf === 'number') {
      const before = flat.parts.map(({ schema }) => schema.multipleOf).filter((value) => typeof value === 'number');
      if (areIntegers) before.push(1);
      if (!before.some((value) => isMultiple(value, multipleOf))) {
        findings.push(finding(part, 'multipleOf', 'is not a divisor of what it was before'));
      }
    }
    return findings;
  }

  #proveString({ flat, kinds, part }: Claim): readonly Finding[] {
    const findings: Finding[] = [];
    const { minLength, maxLength, pattern, format } = part.schema;
    const isFormat = formatNames.some((name) => name === format);
    const mayHaveFormat = kinds.has('string') || kinds.has('integer') || kinds.has('fraction');
    if (isFormat && mayHaveFormat && !flat.parts.some(({ schema }) => schema.format === format)) {
      findings.push(finding(part, 'format', `${format} was not asked for before`));
    }
    if (!kinds.has('string')) return findings;
    if (typeof minLength === 'number' && minLength > (extreme(flat, 'minLength', 'max') ?? 0)) {
      findings.push(finding(part, 'minLength', 'is more than before'));
    }
    if (typeof maxLength === 'number' && maxLength < (extreme(flat, 'maxLength', 'min') ?? Number.POSITIVE_INFINITY)) {
      findings.push(finding(part, 'maxLength', 'is less than before'));
    }
    if (typeof pattern === 'string' && !flat.parts.some(({ schema }) => schema.pattern === pattern)) {
      findings.push(finding(part, 'pattern', 'is another than before; which texts both match is not decided'));
    }
    return findings;
  }

  #proveCombined(claim: Claim): readonly Finding[] {
    const { flat, part } = claim;
    const { schema } = part;
    const findings: Finding[] = [];
    const leadsTo = (...tokens: readonly string[]): boolean =>
      this.includes(flat.parts, child(part, ...tokens)).length === 0;
    const isApart = (...tokens: readonly string[]): boolean => isDisjoint(this, flat, child(part, ...tokens));
    const { anyOf, oneOf } = schema;
    if (
      anyOf !== undefined &&
      !this.isSame(claim, 'anyOf') &&
      !indexes(anyOf).some((index) => leadsTo('anyOf', index))
    ) {
      findings.push(finding(part, 'anyOf', 'has no alternative that allows all that was valid before'));
    }
    if (oneOf !== undefined && !this.isSame(claim, 'oneOf')) {
      const isOne = (index: string): boolean =>
        leadsTo('oneOf', index) && indexes(oneOf).every((other) => other === index || isApart('oneOf', other));
      if (!indexes(oneOf).some(isOne)) {
        findings.push(finding(part, 'oneOf', 'has no alternative that alone allows all that was valid before'));
      }
    }
    if (schema.not !== undefined && !this.isSame(claim, 'not') && !isApart('not')) {
      findings.push(finding(part, 'not', 'may forbid what was valid before'));
    }
    if (schema.if !== undefined && !this.isSame(claim, 'if', 'then', 'else')) {
      const then = (): boolean => schema.then === undefined || leadsTo('then');
      const otherwise = (): boolean => schema.else === undefined || leadsTo('else');
      const isProven = then() ? otherwise() || leadsTo('if') : otherwise() && isApart('if');
      if (!isProven) findings.push(finding(part, 'if', 'may lead to what forbids what was valid before'));
    }
    if ('$dynamicRef' in schema) findings.push(finding(part, '$dynamicRef', 'is not followed'));
    return findings;
  }
}

export function finding({ document: { uri }, path }: Node, keyword: string | null, message: string): Finding {
  return { uri, pointer: formatPointer(keyword === null ? path : [...path, keyword]), message };
}

function picked(schema: Part['schema'], keywords: readonly string[]): Part['schema'] {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => keywords.includes(name)));
}

function kindName(kind: Kind): string {
  return kind === 'fraction' ? 'a number with a fraction' : kind;
}
