import fc, { type Arbitrary } from 'fast-check';

/** JSON Schemas and JSON of a small world, so that the one often says something of the other. */

const name = fc.constantFrom('a', 'b', 'c', 'b1');
const small = fc.constantFrom(-1, 0, 1, 2, 3);
const text = fc.constantFrom('', 'a', 'b', 'ab', '1', 'é', '2026-01-31');
const scalar: Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, 0, 1, -1, 2, 3, 0.5, 1.5, 1e21, 6, 12),
  text,
);

/** Any JSON of that world. */
export const anyValue: Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'value' },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(name, tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value;

const type = fc.constantFrom('null', 'boolean', 'integer', 'number', 'string', 'array', 'object');

/** A schema of the dialect; references lead to its definitions `x` and `y`. */
function schemas(dialect: 'draft-07' | '2020-12'): Arbitrary<unknown> {
  const isNew = dialect === '2020-12';
  const place = isNew ? '$defs' : 'definitions';
  const { schema } = fc.letrec<{ schema: unknown; object: Record<string, unknown> }>((tie) => {
    const one = tie('schema');
    const some = fc.array(one, { minLength: 1, maxLength: 2 });
    const map = fc.dictionary(name, one, { minKeys: 1, maxKeys: 2, noNullPrototype: true });
    const names = fc.uniqueArray(name, { maxLength: 2 });
    const keywords: Record<string, Arbitrary<unknown>> = {
      type: fc.oneof(type, fc.uniqueArray(type, { minLength: 1, maxLength: 3 })),
      enum: fc.uniqueArray(scalar, { minLength: 1, maxLength: 3, selector: (value) => JSON.stringify(value) }),
      const: scalar,
      minimum: small,
      maximum: small,
      exclusiveMinimum: small,
      exclusiveMaximum: small,
      multipleOf: fc.constantFrom(1, 2, 3, 6, 0.5, 0.25),
      minLength: fc.constantFrom(0, 1, 2),
      maxLength: fc.constantFrom(0, 1, 2),
      pattern: fc.constantFrom('^a', 'b$', '^[ab]*$'),
      format: fc.constantFrom('date', 'nobody-knows'),
      minItems: fc.constantFrom(0, 1, 2),
      maxItems: fc.constantFrom(0, 1, 2),
      uniqueItems: fc.boolean(),
      contains: one,
      required: names,
      minProperties: fc.constantFrom(0, 1, 2),
      maxProperties: fc.constantFrom(0, 1, 2),
      propertyNames: one,
      properties: map,
      patternProperties: fc.dictionary(fc.constantFrom('^a', '^b', '1$'), one, { minKeys: 1, noNullPrototype: true }),
      additionalProperties: one,
      not: one,
      if: one,
      // biome-ignore lint/suspicious/noThenProperty: the name of a keyword
      then: one,
      else: one,
      allOf: some,
      anyOf: some,
      oneOf: some,
      $ref: fc.constantFrom(`#/${place}/x`, `#/${place}/y`),
      ...(isNew
        ? {
            prefixItems: some,
            items: one,
            minContains: fc.constantFrom(0, 1, 2),
            dependentRequired: fc.dictionary(name, names, { maxKeys: 1, noNullPrototype: true }),
            dependentSchemas: fc.dictionary(name, one, { maxKeys: 1, noNullPrototype: true }),
            unevaluatedProperties: one,
          }
        : {
            items: fc.oneof(one, some),
            additionalItems: one,
            dependencies: fc.dictionary(name, fc.oneof(names, one), { maxKeys: 1, noNullPrototype: true }),
          }),
    };
    const keyword = fc.constantFrom(...Object.keys(keywords)).chain((key) => {
      return (keywords[key] ?? fc.constant(true)).map((value) => [key, value] as const);
    });
    const object = fc.array(keyword, { minLength: 1, maxLength: 3 }).map((pairs) => Object.fromEntries(pairs));
    return {
      object,
      schema: fc.oneof({ maxDepth: 2, depthIdentifier: 'schema' }, fc.boolean(), object),
    };
  });
  const whole = fc.tuple(schema, descending(place), descending(place)).map(([one, x, y]) => ({
    ...(isNew ? {} : { $schema: 'http://json-schema.org/draft-07/schema#' }),
    ...(typeof one === 'boolean' ? { not: !one } : (one as object)),
    [place]: { x, y },
  }));
  return whole;
}

/** Definitions that refer to each other only from inside of a value, so that validation ends. */
function descending(place: string): Arbitrary<unknown> {
  const inner = fc.oneof(
    fc.constantFrom({ $ref: `#/${place}/x` }, { $ref: `#/${place}/y` }, true, { type: 'string' }),
    scalar.map((value) => ({ const: value })),
  );
  return fc.oneof(
    fc.record({ type: fc.constant('object'), properties: fc.dictionary(name, inner, { noNullPrototype: true }) }),
    fc.record({ type: fc.constant('array'), maxItems: fc.constantFrom(1, 2, 3) }),
    fc.record({
      properties: fc.dictionary(name, inner, { maxKeys: 2, noNullPrototype: true }),
      required: fc.constant(['a']),
    }),
    fc.record({ type, minimum: small }),
  );
}

/** Two versions: often the second is the first with something changed, as people do it. */
export function versions(dialect: 'draft-07' | '2020-12'): Arbitrary<readonly [unknown, unknown]> {
  const one = schemas(dialect);
  const changed = fc.tuple(one, one, fc.nat(), fc.boolean()).map(([before, other, where, isMerged]) => {
    const after = changeAt(structuredClone(before), other, where, isMerged);
    return where % 2 === 0 ? ([before, after] as const) : ([after, before] as const);
  });
  return fc.oneof(
    fc.tuple(one, one),
    { arbitrary: changed, weight: 4 },
    one.map((same) => [same, same] as const),
  );
}

/** Changes one of the schema's objects: leaves a keyword out, or takes some of another schema in. */
function changeAt(schema: unknown, other: unknown, where: number, isMerged: boolean): unknown {
  const objects: Record<string, unknown>[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if (!Array.isArray(value)) objects.push(value as Record<string, unknown>);
    for (const [key, member] of Object.entries(value)) if (key !== '$defs' && key !== 'definitions') visit(member);
  };
  visit(schema);
  const target = objects[where % Math.max(1, objects.length)];
  if (target === undefined) return schema;
  const { $defs, definitions, $schema, ...rest } = other as Record<string, unknown>;
  const [first] = Object.entries(rest);
  if (isMerged && first !== undefined && objects[0] === target) target[first[0]] = first[1];
  else {
    const keys = Object.keys(target).filter((key) => !key.startsWith('$'));
    const key = keys[where % Math.max(1, keys.length)];
    if (key === 'properties' || key === undefined) return schema;
    delete target[key];
  }
  return schema;
}
