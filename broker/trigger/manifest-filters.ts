import { nearest } from '../../runtime/nearest.ts';
import { CesqlSyntaxError, compileFilter } from '../filter/cesql/cesql.ts';
import { compileDataFilter } from '../filter/data/data-filter.ts';
import { DataFilterSyntaxError } from '../filter/data/errors.ts';
import type { Field } from './manifest-field.ts';
import type { AttributeValues, Filter } from './trigger.ts';

/** Deeper than anyone reads, and shallow enough for the stack. */
const nestingMax = 32;

const dialects = ['exact', 'prefix', 'suffix', 'all', 'any', 'not', 'cesql'] as const;

/**
 * Reads `spec.filter` and `spec.filters` of a Trigger. As in Knative, `filters` with at least one filter is what
 * counts where both are given.
 */
export function readFilters(spec: Field): Filter[] {
  const old = readAttributesFilter(spec.field('filter'));
  const list = spec.field('filters').list() ?? [];
  const filters = list.flatMap((field) => readFilter(field, 1) ?? []);
  if (list.length === 0) return old;
  if (old.length > 0) spec.field('filter').warn('no effect: spec.filters is given too, and that counts');
  return filters;
}

function readAttributesFilter(filter: Field): Filter[] {
  if (!filter.object(['attributes'])) return [];
  const attributes = readAttributes(filter.field('attributes'), true);
  return Object.keys(attributes).length === 0 ? [] : [{ dialect: 'attributes', attributes }];
}

function readFilter(filter: Field, nesting: number): Filter | undefined {
  if (nesting > nestingMax) return filter.error(`filters are nested more than ${nestingMax} deep`);
  if (!filter.present) return filter.error(`must have one of ${dialects.join(', ')}, found nothing`);
  if (!filter.object(dialects)) return undefined;
  const unknown = filter.entries()?.some(([name]) => dialects.every((dialect) => dialect !== name));
  const given = dialects.filter((dialect) => filter.field(dialect).present);
  const [dialect, second] = given;
  if (dialect === undefined) return unknown ? undefined : filter.error(`must have one of ${dialects.join(', ')}`);
  if (second !== undefined) {
    filter
      .field(second)
      .error(`a filter has one dialect, here are ${given.join(' and ')}; put each in its own, under all`, 'key');
  }
  const field = filter.field(dialect);
  switch (dialect) {
    case 'exact':
    case 'prefix':
    case 'suffix':
      return readDialect(field, dialect);
    case 'all':
    case 'any':
      return { dialect, filters: readNested(field, nesting) };
    case 'not': {
      const nested = readFilter(field, nesting + 1);
      return nested && { dialect, filter: nested };
    }
    case 'cesql':
      return readExpression(field);
  }
}

function readDialect(field: Field, dialect: 'exact' | 'prefix' | 'suffix'): Filter | undefined {
  const entries = field.entries();
  if (entries === undefined) return undefined;
  if (entries.length === 0) return field.error('must name at least one attribute, like type: com.example.created');
  return { dialect, attributes: readAttributes(field, false) };
}

function readExpression(field: Field): Filter | undefined {
  const expression = field.text();
  if (expression === undefined) return undefined;
  try {
    const { warnings } = compileFilter(expression);
    for (const { message, position } of warnings) field.sayAt(position, 'warning', message);
    return { dialect: 'cesql', expression };
  } catch (error) {
    if (!(error instanceof CesqlSyntaxError)) throw error;
    return field.sayAt(error.position, 'error', error.problem);
  }
}

/** Reads an expression over the data of events. */
export function readDataFilter(field: Field): string | undefined {
  const expression = field.text();
  if (expression === undefined) return undefined;
  try {
    compileDataFilter(expression);
    return expression;
  } catch (error) {
    if (!(error instanceof DataFilterSyntaxError)) throw error;
    return field.sayAt(error.position, 'error', error.problem);
  }
}

function readNested(field: Field, nesting: number): Filter[] {
  const list = field.list();
  if (list?.length === 0) field.error('must have at least one filter');
  return (list ?? []).flatMap((nested) => readFilter(nested, nesting + 1) ?? []);
}

function readAttributes(field: Field, emptyAllowed: boolean): AttributeValues {
  const attributes: [string, string][] = [];
  for (const [name, value, attribute] of field.strings() ?? []) {
    if (name === 'data') {
      attribute.error(
        'data is not an attribute; filters see the attributes only, the annotation posthorn.dev/data-filter sees the data',
        'key',
      );
    } else if (!/^[a-z0-9]+$/.test(name)) {
      const meant = name
        .toLowerCase()
        .replace(/^(?:ce|cloudevents)[-_:]/, '')
        .replaceAll(/[^a-z0-9]/g, '');
      const hint = meant === '' ? '' : `; write ${nearest(meant, contextAttributes) ?? meant}`;
      attribute.error(`the name of an attribute has lower-case letters and digits only${hint}`, 'key');
    } else if (value === '' && !emptyAllowed) {
      attribute.error('must not be empty; filter.attributes takes "" for any value');
    }
    attributes.push([name, value]);
  }
  return Object.fromEntries(attributes);
}

const contextAttributes = ['specversion', 'id', 'source', 'type', 'datacontenttype', 'dataschema', 'subject', 'time'];
