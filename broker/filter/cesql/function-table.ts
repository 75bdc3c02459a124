import type { CesqlErrorKind } from './errors.ts';
import type { Type, Value } from './value.ts';

/** A function that expressions may call (CESQL 1.0, 3.5). */
export interface CesqlFunction {
  /** Letters and underscores, beginning with a letter; expressions write it in any case. */
  readonly name: string;
  /** What arguments are cast to; `Any` leaves them as they are. */
  readonly parameters: readonly (Type | 'Any')[];
  /** Of any number of arguments after those. Absent: there are none. */
  readonly variadic?: Type | 'Any';
  readonly returns: Type;
  /** Gets as many arguments as the expression has. What it throws is a FunctionEvaluationError. */
  call(...args: Value[]): Value | CesqlFailure;
}

/** What a function returns that met an error. */
export class CesqlFailure {
  readonly message: string;
  /** What stands for the result; absent: the zero value of the function's type. */
  readonly value: Value | undefined;
  readonly kind: CesqlErrorKind;

  constructor(message: string, value?: Value, kind: CesqlErrorKind = 'FunctionEvaluationError') {
    this.message = message;
    this.value = value;
    this.kind = kind;
  }
}

/** Functions by name and number of arguments. */
export class FunctionTable {
  readonly #byName = new Map<string, CesqlFunction[]>();

  /** @throws TypeError where two functions could not be told apart by their number of arguments, or one is malformed */
  constructor(functions: readonly CesqlFunction[]) {
    for (const one of functions) {
      const name = one.name.toUpperCase();
      if (!/^[A-Z][A-Z_]*$/.test(name)) {
        throw new TypeError(
          `the name of a CESQL function has letters and _ only, beginning with a letter: ${one.name}`,
        );
      }
      const overloads = this.#byName.get(name) ?? [];
      for (const other of overloads) {
        if (clash(one, other)) throw new TypeError(`two CESQL functions ${name} take the same number of arguments`);
      }
      this.#byName.set(name, [...overloads, one]);
    }
  }

  /** @param name in upper case */
  find(name: string, count: number): CesqlFunction | undefined {
    return this.#byName.get(name)?.find(({ parameters, variadic }) => {
      return variadic === undefined ? count === parameters.length : count >= parameters.length;
    });
  }

  /** Whether there is one of that name, whatever it takes. */
  overloads(name: string): readonly CesqlFunction[] {
    return this.#byName.get(name) ?? [];
  }

  names(): string[] {
    return [...this.#byName.keys()];
  }
}

/** A variadic function must begin where every other of its name has ended. */
function clash(one: CesqlFunction, other: CesqlFunction): boolean {
  const [a, b] = [one.parameters.length, other.parameters.length];
  if (one.variadic !== undefined && other.variadic !== undefined) return true;
  if (one.variadic !== undefined) return a <= b;
  return other.variadic === undefined ? a === b : b <= a;
}
