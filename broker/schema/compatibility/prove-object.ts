import { isSchemaObject } from '../dialect.ts';
import { extreme, propertyNodes, requiredNames } from './facts.ts';
import { type Claim, type Finding, finding, type Prover } from './prove.ts';
import { child, type Flat, type Node, namesOf, type Part } from './side.ts';

/** Proves the keywords about objects. */
export function proveObject(prover: Prover, claim: Claim): readonly Finding[] {
  if (!claim.kinds.has('object')) return [];
  return [...proveNames(prover, claim), ...proveValues(prover, claim), ...proveDependencies(prover, claim)];
}

function proveNames(prover: Prover, { flat, part }: Claim): readonly Finding[] {
  const { required, minProperties, maxProperties, propertyNames } = part.schema;
  const findings: Finding[] = [];
  const before = requiredNames(flat);
  const added = (Array.isArray(required) ? required : []).filter((name) => !before.has(name));
  for (const name of added) {
    findings.push(finding(part, 'required', `has ${JSON.stringify(name)}, which was not required before`));
  }
  const least = Math.max(extreme(flat, 'minProperties', 'max') ?? 0, before.size);
  if (typeof minProperties === 'number' && minProperties > least) {
    findings.push(finding(part, 'minProperties', 'is more than before'));
  }
  const most = extreme(flat, 'maxProperties', 'min') ?? Number.POSITIVE_INFINITY;
  if (typeof maxProperties === 'number' && maxProperties < most) {
    findings.push(finding(part, 'maxProperties', 'is less than before'));
  }
  if (propertyNames !== undefined) {
    const narrow = flat.parts.filter(({ schema }) => schema.propertyNames !== undefined);
    const names = narrow.map((one) => child(one, 'propertyNames'));
    findings.push(...prover.inside(names, child(part, 'propertyNames')));
  }
  return findings;
}

/** The names that `properties` of either side has one by one, and all others together. */
function proveValues(prover: Prover, { flat, part }: Claim): readonly Finding[] {
  const { properties, patternProperties, additionalProperties } = part.schema;
  if (properties === undefined && patternProperties === undefined && additionalProperties === undefined) return [];
  const findings: Finding[] = [];
  const names = new Set([part, ...flat.parts].flatMap(({ schema }) => namesOf(schema.properties)));
  for (const name of names) {
    const narrow = flat.parts.flatMap((one) => propertyNodes(one, name));
    for (const wide of propertyNodes(part, name)) {
      findings.push(...named(name, wide, prover.inside(narrow, wide)));
    }
  }
  const patterns = namesOf(patternProperties);
  for (const pattern of patterns) {
    const wide = child(part, 'patternProperties', pattern);
    if (!isProvenForOthers(prover, flat, [], wide, pattern)) {
      findings.push(finding(wide, null, 'was not asked of all such properties before'));
    }
  }
  if (additionalProperties !== undefined) {
    const wide = child(part, 'additionalProperties');
    if (!isProvenForOthers(prover, flat, patterns, wide, null)) {
      findings.push(finding(wide, null, 'was not asked of all other properties before'));
    }
  }
  return findings;
}

/** A property that only the other side knows is told by its name. */
function named(name: string, wide: Node, findings: readonly Finding[]): readonly Finding[] {
  if (wide.schema !== false) return findings;
  return findings.map(({ uri, pointer }) => ({
    uri,
    pointer,
    message: `forbids ${JSON.stringify(name)}, which was allowed before`,
  }));
}

/**
 * Whether properties that no `properties` names satisfy the schema.
 * @param apart patterns of names that are not meant
 * @param pattern that the names match; null: any
 */
function isProvenForOthers(
  prover: Prover,
  { parts }: Flat,
  apart: readonly string[],
  wide: Node,
  pattern: string | null,
): boolean {
  if (wide.schema === true) return true;
  // One part alone has to suffice: that several together do is not looked for.
  return parts.some((part) => {
    const { additionalProperties, patternProperties } = part.schema;
    const known = namesOf(patternProperties);
    if (pattern !== null && known.includes(pattern)) {
      return prover.inside([child(part, 'patternProperties', pattern)], wide).length === 0;
    }
    if (additionalProperties === undefined) return false;
    const nodes = [child(part, 'additionalProperties')];
    for (const one of known) if (!apart.includes(one)) nodes.push(child(part, 'patternProperties', one));
    return nodes.every((node) => prover.inside([node], wide).length === 0);
  });
}

function proveDependencies(prover: Prover, claim: Claim): readonly Finding[] {
  const { flat, part } = claim;
  const findings: Finding[] = [];
  const required = requiredNames(flat);
  for (const keyword of ['dependencies', 'dependentRequired', 'dependentSchemas']) {
    const given = part.schema[keyword];
    if (!isSchemaObject(given) || prover.isSame(claim, keyword)) continue;
    for (const [name, value] of Object.entries(given)) {
      if (isAbsent(flat, name)) continue;
      const isProven = Array.isArray(value)
        ? value.every((one) => required.has(one) || dependants(flat.parts, keyword, name).includes(one))
        : prover.includes(flat.parts, child(part, keyword, name)).length === 0;
      if (!isProven) findings.push(finding(part, keyword, `asks more of an object that has ${JSON.stringify(name)}`));
    }
  }
  return findings;
}

/** Whether no valid object has the property. */
function isAbsent({ parts }: Flat, name: string): boolean {
  return parts.some((part) => propertyNodes(part, name).some(({ schema }) => schema === false));
}

function dependants(parts: readonly Part[], keyword: string, name: string): readonly unknown[] {
  return parts.flatMap(({ schema }) => {
    const given = schema[keyword];
    const names = isSchemaObject(given) && Object.hasOwn(given, name) ? given[name] : [];
    return Array.isArray(names) ? names : [];
  });
}
