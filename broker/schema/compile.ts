import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats, { type FormatName } from 'ajv-formats';
import { messageOf } from '../../runtime/errors.ts';
import type { Dialect } from './dialect.ts';
import type { SchemaDocument, SchemaProblem } from './document.ts';
import { addKeywords, boundedFormat, budget, regExp, TooMuchWorkError } from './keywords.ts';
import { detailOf, type Violation } from './violation.ts';

/** Judges data by one schema. */
export interface CompiledSchema {
  /** What the schema is known by. */
  readonly uri: string;
  /**
   * What of the data violates the schema, the first few; empty: nothing. The data is not changed.
   * @param bytes of the data, as JSON
   */
  violations(data: unknown, bytes: number): readonly Violation[];
}

/**
 * Of more data only the first violation is told: each takes several times as much memory as what it is about, and a
 * producer could send nothing else.
 */
const allViolationsMaxBytes = 65_536;

const options: Options = {
  // Keywords and formats that are unknown say nothing (JSON Schema Core, 6.5).
  strict: false,
  // 1e400 is no number of JSON that anybody could read.
  strictNumbers: true,
  // `toString` is no property of `{}`.
  ownProperties: true,
  addUsedSchema: false,
  // `add` does that itself, so as to tell where.
  validateSchema: false,
  // What is wrong is thrown as well.
  logger: false,
};

/** The formats of ajv-formats that are asserted. */
export const formatNames: readonly FormatName[] = [
  ...(['date', 'time', 'date-time', 'iso-time', 'iso-date-time', 'duration'] as const),
  ...(['uri', 'uri-reference', 'uri-template', 'email', 'hostname', 'ipv4', 'ipv6', 'uuid'] as const),
  ...(['regex', 'json-pointer', 'relative-json-pointer', 'byte', 'int32', 'int64'] as const),
];

function newAjv(dialect: Dialect, allErrors: boolean): Ajv {
  const engine = Object.assign((source: string) => regExp(source), { code: 'regExp' });
  const all: Options = { ...options, allErrors, code: { regExp: engine } };
  const ajv = dialect === 'draft-07' ? new Ajv(all) : new Ajv2020(all);
  for (const name of formatNames) ajv.addFormat(name, boundedFormat(addFormats.default.get(name)));
  addKeywords(ajv);
  return ajv;
}

const metas = new Map<Dialect, Ajv>();

/** Says whether a schema is one. It is the same for all, as it takes long to be made. */
function metaOf(dialect: Dialect): Ajv {
  const known = metas.get(dialect);
  if (known !== undefined) return known;
  const made = newAjv(dialect, false);
  metas.set(dialect, made);
  return made;
}

/** Compiles schemas of one dialect that refer to each other. */
export class Compiler {
  readonly #dialect: Dialect;
  readonly #ajv: Ajv;
  readonly #documents = new Map<string, SchemaDocument>();
  /** Tells every violation, and is only needed once there is one. */
  #thorough: Ajv | undefined;

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
    this.#ajv = newAjv(dialect, false);
  }

  /** Makes it known to the others. @returns what is wrong with it */
  add(document: SchemaDocument): readonly SchemaProblem[] {
    const { schema, uri } = document;
    budget.reset();
    try {
      const meta = metaOf(this.#dialect);
      if (meta.validateSchema(schema) !== true) return metaProblems(meta.errors ?? []);
      this.#ajv.addSchema(schema, uri);
    } catch (error) {
      return [{ pointer: '', message: messageOf(error) }];
    }
    this.#documents.set(uri, document);
    return [];
  }

  /** Once all that it refers to were added. */
  compile(uri: string): CompiledSchema | { readonly problems: readonly SchemaProblem[] } {
    let first: ValidateFunction | undefined;
    try {
      first = this.#ajv.getSchema(uri);
    } catch (error) {
      return { problems: [{ pointer: '', message: wordsOf(error) }] };
    }
    if (first === undefined) return { problems: [{ pointer: '', message: 'is not there' }] };
    const validate = first;
    return {
      uri,
      violations: (data, bytes) => {
        const errors = errorsOf(validate, data);
        if (errors === null) return [];
        if (typeof errors === 'string') return [{ pointer: '', detail: errors }];
        const thorough = bytes <= allViolationsMaxBytes ? errorsOf(this.#thoroughly(uri), data) : null;
        const told = Array.isArray(thorough) ? thorough : errors;
        return told.map(detailOf);
      },
    };
  }

  /**
   * The first error of a value under a part of a document; null: it is valid.
   * @param reference the document's URI with a JSON pointer as its fragment
   * @returns undefined where that can't be told
   */
  errorAt(reference: string, value: unknown): ErrorObject | null | undefined {
    let validate: ValidateFunction | undefined;
    try {
      validate = this.#ajv.getSchema(reference);
    } catch {
      return undefined;
    }
    const errors = validate && errorsOf(validate, value);
    return Array.isArray(errors) ? errors[0] : errors === null ? null : undefined;
  }

  #thoroughly(uri: string): ValidateFunction {
    if (this.#thorough === undefined) {
      this.#thorough = newAjv(this.#dialect, true);
      for (const { schema, uri: one } of this.#documents.values()) this.#thorough.addSchema(schema, one);
    }
    return this.#thorough.getSchema(uri) as ValidateFunction;
  }
}

/** Null: the data is valid; a text: it can't be judged, for that reason. */
function errorsOf(validate: ValidateFunction, data: unknown): ErrorObject[] | string | null {
  budget.reset();
  try {
    return validate(data) === true ? null : (validate.errors ?? []);
  } catch (error) {
    if (error instanceof TooMuchWorkError) return `can't be validated: ${error.message}`;
    if (error instanceof RangeError) return "can't be validated: it is nested too deeply";
    throw error;
  } finally {
    // The errors hold parts of the data.
    validate.errors = null;
  }
}

function metaProblems(errors: readonly ErrorObject[]): SchemaProblem[] {
  const [first] = errors;
  if (first === undefined) return [{ pointer: '', message: 'is not a JSON Schema' }];
  const { pointer, detail } = detailOf(first);
  return [{ pointer, message: detail }];
}

function wordsOf(error: unknown): string {
  return messageOf(error).replace(/^error parsing regexp: /, 'a pattern that RE2 does not take: ');
}
