import { didYouMean } from '../../runtime/nearest.ts';

export type Path = readonly (string | number)[];

/** `spec.filters[0].exact`, `metadata.annotations["posthorn.dev/max-in-flight"]`. */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}

/** Takes what the readers of a manifest find wrong or without effect. */
export interface Report {
  add(finding: Finding): void;
  /** The value at the path as it was typed, where it is a scalar without quotes; null where that is not known. */
  writtenAs(path: Path): string | null;
}

export interface Finding {
  readonly severity: 'error' | 'warning';
  readonly path: Path;
  /** Whether the name of the field is meant or what it holds. */
  readonly at: 'key' | 'value';
  /** Which character of the text that it holds, from 0, in UTF-16 units; null: all of it. */
  readonly offset: number | null;
  readonly message: string;
}

/** What YAML 1.1, and so Kubernetes, takes for a boolean where YAML 1.2 sees a string. */
const yaml11Boolean = /^(?:[yY]|yes|Yes|YES|[nN]|no|No|NO|on|On|ON|off|Off|OFF)$/;

/**
 * A field of a manifest, there or not, of whatever type. Its readers return the value where it is of the right type;
 * else they report what is wrong with it and return undefined. As in Kubernetes, null is the same as absent.
 */
export class Field {
  readonly value: unknown;
  readonly path: Path;
  readonly #report: Report;

  constructor(value: unknown, path: Path, report: Report) {
    this.value = value;
    this.path = path;
    this.#report = report;
  }

  get present(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  error(message: string, at: 'key' | 'value' = 'value'): undefined {
    this.#report.add({ severity: 'error', path: this.path, at, offset: null, message });
  }

  warn(message: string): void {
    this.#report.add({ severity: 'warning', path: this.path, at: 'key', offset: null, message });
  }

  /** Says something of the text that this holds, at the character that is meant. */
  sayAt(offset: number, severity: 'error' | 'warning', message: string): undefined {
    this.#report.add({ severity, path: this.path, at: 'value', offset, message });
  }

  /** The field of that name within this one; absent where this is no object. */
  field(name: string): Field {
    const value = isObject(this.value) && Object.hasOwn(this.value, name) ? this.value[name] : undefined;
    return new Field(value, [...this.path, name], this.#report);
  }

  /** This field, or where it is absent the same with that value. */
  orElse(value: unknown): Field {
    return this.present ? this : new Field(value, this.path, this.#report);
  }

  /** The fields of an object, by the names that it has. Undefined where it is none. */
  entries(): [string, Field][] | undefined {
    if (!this.present) return undefined;
    if (!isObject(this.value)) return this.error(`must be an object, found ${describe(this.value)}`);
    return Object.keys(this.value).map((name) => [name, this.field(name)]);
  }

  /** Whether this is an object; its fields of other names than these are reported. */
  object(known: readonly string[]): boolean {
    const entries = this.entries();
    for (const [name, field] of entries ?? []) {
      if (known.includes(name)) continue;
      field.error(`unknown field${didYouMean(name, known) || `; known here: ${known.join(', ')}`}`, 'key');
    }
    return entries !== undefined;
  }

  list(): Field[] | undefined {
    if (!this.present) return undefined;
    if (!Array.isArray(this.value)) return this.error(`must be a list, found ${describe(this.value)}`);
    return this.value.map((item, index) => new Field(item, [...this.path, index], this.#report));
  }

  text(): string | undefined {
    if (!this.present) return undefined;
    const written = this.#report.writtenAs(this.path);
    if (typeof this.value === 'string') {
      if (written === null || !yaml11Boolean.test(written)) return this.value;
      return this.error(`must be a string, but Kubernetes reads ${written} as a boolean; write "${written}"`);
    }
    if (typeof this.value !== 'number' && typeof this.value !== 'boolean') {
      return this.error(`must be a string, found ${describe(this.value)}`);
    }
    return this.error(`must be a string, found ${describe(this.value)}; write "${written ?? this.value}"`);
  }

  integer(min: number, max: number): number | undefined {
    if (!this.present) return undefined;
    const { value } = this;
    const right = `must be a whole number from ${min} to ${max}`;
    if (typeof value === 'string' && /^\d+$/.test(value)) {
      return this.error(`${right}, found the string ${describe(value)}; write ${Number(value)} without quotes`);
    }
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      return this.error(`${right}, found ${describe(value)}`);
    }
    const written = this.#report.writtenAs(this.path);
    if (written !== null && /^[-+]?0\d/.test(written)) {
      return this.error(`${right}, but Kubernetes reads ${written} as octal; write ${value}`);
    }
    return value;
  }

  oneOf<Value extends string>(values: readonly Value[]): Value | undefined {
    const text = this.text();
    if (text === undefined) return undefined;
    const value = values.find((one) => one === text);
    if (value !== undefined) return value;
    return this.error(`must be ${values.join(' or ')}, found ${describe(text)}${didYouMean(text, values)}`);
  }

  /** Text that must be there: after `name:` alone, whoever wrote it meant some value. */
  givenText(): string | undefined {
    return this.present ? this.text() : this.error('must be a string, found nothing; write "" for an empty one');
  }

  /** An object of strings. */
  strings(): [string, string, Field][] | undefined {
    return this.entries()?.flatMap(([name, field]) => {
      const text = field.givenText();
      return text === undefined ? [] : [[name, text, field]];
    });
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** For the end of a message: `"text"`, `the number 3`, `a list`. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${value}`;
}
