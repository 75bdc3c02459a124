import { extreme, itemNodes, itemsOf, longest } from './facts.ts';
import { type Claim, type Finding, finding, type Prover } from './prove.ts';

/** Proves the keywords about arrays. */
export function proveArray(prover: Prover, claim: Claim): readonly Finding[] {
  const { flat, kinds, part } = claim;
  if (!kinds.has('array')) return [];
  const { minItems, maxItems, uniqueItems, contains } = part.schema;
  const findings: Finding[] = [];
  const most = longest(flat) ?? Number.POSITIVE_INFINITY;
  if (typeof minItems === 'number' && minItems > (extreme(flat, 'minItems', 'max') ?? 0)) {
    findings.push(finding(part, 'minItems', 'is more than before'));
  }
  if (typeof maxItems === 'number' && maxItems < most) {
    findings.push(finding(part, 'maxItems', 'is less than before'));
  }
  if (uniqueItems === true && most > 1 && !flat.parts.some(({ schema }) => schema.uniqueItems === true)) {
    findings.push(finding(part, 'uniqueItems', 'was not asked for before'));
  }
  if (contains !== undefined && !prover.isSame(claim, 'contains', 'minContains', 'maxContains')) {
    findings.push(finding(part, 'contains', 'is another than before'));
  }
  const { prefix, rest } = itemsOf(part);
  if (prefix.length === 0 && rest === null) return findings;
  // All places that either names, and one that stands for all after them.
  const named = Math.max(prefix.length, ...flat.parts.map((one) => itemsOf(one).prefix.length));
  for (let index = 0; index <= Math.min(named, most - 1); index++) {
    const wanted = prefix[index] ?? rest;
    if (wanted !== null) findings.push(...prover.inside(itemNodes(flat, index), wanted));
  }
  return findings;
}
