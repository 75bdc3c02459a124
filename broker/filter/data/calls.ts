import type { ASTNode } from '@marcbachmann/cel-js';
import { didYouMean } from '../../../runtime/nearest.ts';
import { DataFilterSyntaxError } from './errors.ts';
import { Evaluation } from './evaluation.ts';
import { EventData } from './event-data.ts';
import { type CelFunction, functions } from './functions.ts';
import { constant, isLiteral, literal } from './literals.ts';
import { macros, runMacro } from './macros.ts';
import { Pattern } from './pattern.ts';
import { type Compile, type Run, unary, type Variables } from './run.ts';
import { Failure, isMade, isObject, lookUp, typeOf, type Value } from './value.ts';

/** Where a call stands. */
interface CallPlace {
  readonly compile: Compile;
  readonly variables: Variables;
  readonly start: number;
}

/** A call of a function or a macro, alone or on a value. @throws DataFilterSyntaxError */
export function compileCall(name: string, target: ASTNode | null, args: readonly ASTNode[], place: CallPlace): Run {
  const { compile, start } = place;
  if (name === 'has') return has(target, args, place);
  const [first, ...bodies] = args;
  if (target !== null && first !== undefined && macros.get(name)?.includes(args.length)) {
    return macro(name, target, first, bodies, place);
  }
  const all = target === null ? args : [target, ...args];
  if (name === 'matches') return matches(all, place);
  const called = functions.get(name);
  const isRight = called?.called === 'either' || called?.called === (target === null ? 'alone' : 'on a value');
  if (!called || !isRight || called.argumentCount !== all.length)
    throw unknownFunction(name, target, args.length, start);
  const [only] = all;
  if (only !== undefined && called.called === 'alone' && isLiteral(only)) {
    return constant(converted(called, literal(only), start));
  }
  const runs = all.map((arg) => compile(arg));
  return (evaluation) => {
    const values: Value[] = [];
    for (const run of runs) {
      const value = run(evaluation);
      if (value instanceof Failure) return value;
      values.push(value);
    }
    return (
      called.body(values, evaluation, start) ??
      new Failure(`no such overload: ${name}(${values.map(typeOf).join(', ')})`, start)
    );
  };
}

/** What a literal is converted to, as that is the same for every event. @throws DataFilterSyntaxError */
function converted({ body }: CelFunction, value: Value, position: number): Value {
  const made = body([value], new Evaluation(noEvent), position);
  if (made === undefined) throw new DataFilterSyntaxError(position, `no such overload: it takes no ${typeOf(value)}`);
  if (made instanceof Failure) throw new DataFilterSyntaxError(position, made.message);
  return made;
}

const noEvent = new EventData({ attributes: { specversion: '1.0', id: '', source: '', type: '' }, data: undefined });

function unknownFunction(name: string, target: ASTNode | null, count: number, position: number): DataFilterSyntaxError {
  const known = functions.get(name);
  if (known === undefined && !macros.has(name)) {
    const names = [...functions.keys(), ...macros.keys(), 'has', 'matches'].sort();
    return new DataFilterSyntaxError(
      position,
      `unknown function ${name}${didYouMean(name, names) || `; known here: ${names.join(', ')}`}`,
    );
  }
  const counts = macros.get(name) ?? [(known?.argumentCount ?? 0) - (known?.called === 'alone' ? 0 : 1)];
  const isOnValue = known?.called !== 'alone';
  if (isOnValue && target === null) {
    return new DataFilterSyntaxError(position, `${name} is called on a value, like data.field.${name}(…)`);
  }
  if (!isOnValue && target !== null) {
    return new DataFilterSyntaxError(position, `${name} is called with its value, like ${name}(data.field)`);
  }
  return new DataFilterSyntaxError(
    position,
    `${name} takes ${counts.join(' or ')} ${counts.join() === '1' ? 'argument' : 'arguments'}, found ${count}`,
  );
}

function has(on: ASTNode | null, [field]: readonly ASTNode[], { compile, start }: CallPlace): Run {
  if (on !== null || field?.op !== '.')
    throw new DataFilterSyntaxError(start, 'has() takes a field, like has(data.field)');
  const [target, name] = field.args;
  return unary(compile(target), (value) => {
    if (isObject(value) || isMade(value)) return lookUp(value, name) !== undefined;
    return new Failure(`no field ${name} in a ${typeOf(value)}`, field.start);
  });
}

function macro(
  name: string,
  target: ASTNode,
  variable: ASTNode,
  bodies: readonly ASTNode[],
  { compile, variables, start }: CallPlace,
): Run {
  if (variable.op !== 'id') {
    throw new DataFilterSyntaxError(variable.start, `the first argument of ${name} is a name for each item, like x`);
  }
  const [first, second] = bodies;
  if (first === undefined) throw new DataFilterSyntaxError(start, `${name} takes more than a name`);
  // One that another of its name hides is still needed after it.
  const own = Math.max(-1, ...variables.values()) + 1;
  const inner = new Map([...variables, [variable.args, own]]);
  const compiled = compile(first, inner);
  return runMacro({
    name,
    target: compile(target),
    variable: own,
    bodies: second === undefined ? [compiled] : [compiled, compile(second, inner)],
    position: start,
  });
}

/** The pattern has to be known now: that of each event would have to be read anew. */
function matches([text, pattern, ...more]: readonly ASTNode[], { compile, start }: CallPlace): Run {
  if (text === undefined || pattern === undefined || more.length > 0) {
    throw new DataFilterSyntaxError(start, "matches takes a text and a pattern, like data.field.matches('^a')");
  }
  if (pattern.op !== 'value' || typeof pattern.args !== 'string') {
    throw new DataFilterSyntaxError(pattern.start, 'the pattern of matches must be a text in quotes');
  }
  const compiled = compilePattern(pattern.args, pattern.start);
  const run = compile(text);
  return (evaluation) => {
    const value = run(evaluation);
    if (value instanceof Failure) return value;
    if (typeof value !== 'string') return new Failure(`matches wants a text, found ${typeOf(value)}`, start);
    return compiled.test(value, evaluation);
  };
}

function compilePattern(source: string, position: number): Pattern {
  try {
    return new Pattern(source);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new DataFilterSyntaxError(
      position,
      `the pattern of matches is no regular expression of RE2: ${error.message}`,
    );
  }
}
