import t from 'tap';
import {
  CesqlFailure,
  type CesqlFunction,
  compile,
  compileFilter,
  type Type,
  type Value,
} from '../../../broker/filter/cesql/cesql.ts';

/** CESQL 1.0, 3.5 and 3.5.3: functions of whoever uses the engine. */

function define(name: string, parameters: readonly Type[], variadic?: Type): CesqlFunction {
  const call = (...values: Value[]): string =>
    `${name}/${parameters.length}(${values.map((one) => typeof one).join()})`;
  return { name, parameters, returns: 'String', call, ...(variadic === undefined ? {} : { variadic }) };
}

t.test('functions of one name are told apart by how many arguments they take', async (t) => {
  const functions = [
    define('ABC', ['String']),
    define('ABC', ['Integer', 'Boolean']),
    define('ABC', ['String', 'String', 'String'], 'Integer'),
  ];
  const said = (expression: string) => compile(expression, { functions }).evaluate({});
  t.same(said('ABC(1)'), { value: 'ABC/1(string)', errors: [] });
  t.same(said(`abc('1', 'true')`), { value: 'ABC/2(number,boolean)', errors: [] });
  t.same(said('ABC(1, 2, 3)'), { value: 'ABC/3(string,string,string)', errors: [] });
  t.same(said(`ABC(1, 2, 3, '4', '5')`), { value: 'ABC/3(string,string,string,number,number)', errors: [] });
  t.match(said('ABC()'), {
    value: false,
    errors: [{ kind: 'MissingFunctionError', message: 'ABC takes 1 or 2 or 3 or more arguments, found 0' }],
  });
  t.match(said(`ABC(1, 2, 3, 'x')`), { value: '', errors: [{ kind: 'CastError' }] });
});

t.test('functions that can not be told apart are refused', async (t) => {
  const sets: Readonly<Record<string, readonly CesqlFunction[]>> = {
    'the same number': [define('ABC', ['String']), define('abc', ['Integer'])],
    'any number, and three': [define('ABC', [], 'String'), define('ABC', ['String', 'String', 'String'])],
    'three, and any number': [define('ABC', ['String', 'String', 'String']), define('ABC', [], 'String')],
    'as many fixed arguments as another takes': [define('ABC', ['String']), define('ABC', ['String'], 'String')],
    'two of any number': [define('ABC', [], 'String'), define('ABC', ['String', 'String'], 'String')],
    'a built-in one': [define('length', ['String'])],
    'one of any number that is built in': [define('CONCAT', ['String', 'String'])],
  };
  for (const [name, functions] of Object.entries(sets)) {
    t.throws(() => compile('TRUE', { functions }), { name: 'TypeError', message: /take the same number/ }, name);
  }
  t.doesNotThrow(() => compile('TRUE', { functions: [define('SUBSTRING', ['String'])] }));
  for (const name of ['', '_A', 'A1', 'A-B', 'Ä']) {
    t.throws(() => compile('TRUE', { functions: [define(name, [])] }), { message: /has letters and _ only/ }, name);
  }
});

function returning(result: () => unknown, returns: Type = 'Integer'): CesqlFunction {
  return { name: 'F', parameters: [], returns, call: result as () => Value };
}

t.test('a function that fails gives its own value, or the zero value of its type', async (t) => {
  const said = (result: () => unknown, expression = 'F()') =>
    compile(expression, { functions: [returning(result)] }).evaluate({});
  t.match(
    said(() => 7),
    { value: 7, errors: [] },
  );
  t.match(
    said(() => new CesqlFailure('too late', 7)),
    {
      value: 7,
      errors: [{ kind: 'FunctionEvaluationError', message: 'too late', position: 0 }],
    },
  );
  t.match(
    said(() => new CesqlFailure('too late')),
    { value: 0, errors: [{ message: 'too late' }] },
  );
  t.match(
    said(() => new CesqlFailure('odd', 'text')),
    { value: 0, errors: [{ message: 'odd' }] },
  );
  t.match(
    said(() => new CesqlFailure('odd', undefined, 'GenericError')),
    { errors: [{ kind: 'GenericError' }] },
  );
  const thrower = () => {
    throw new Error('broken');
  };
  t.match(said(thrower), { value: 0, errors: [{ kind: 'FunctionEvaluationError', message: 'F failed: broken' }] });
  t.match(said(thrower, '1 + F()'), { value: 0, errors: [{ position: 4 }] });
  for (const wrong of ['7', true, undefined, null, 0.5, 2 ** 31, Number.NaN, {}]) {
    t.match(
      said(() => wrong),
      { value: 0, errors: [{ kind: 'FunctionEvaluationError', message: 'F must return a value of type Integer' }] },
      String(wrong),
    );
  }
});

t.test('a filter passes nothing that a function failed for, whatever value it gave', async (t) => {
  const failing = returning(() => new CesqlFailure('perhaps', true), 'Boolean');
  t.same(compile('F()', { functions: [failing] }).evaluate({}).value, true);
  const isEven: CesqlFunction = {
    name: 'IS_EVEN',
    parameters: ['Integer'],
    returns: 'Boolean',
    call: (value) => (Number(value) < 0 ? new CesqlFailure('below 0', true) : Number(value) % 2 === 0),
  };
  const { passes } = compileFilter('is_even(sequence)', { functions: [isEven] });
  t.equal(passes({ sequence: '4' }), true);
  t.equal(passes({ sequence: '5' }), false);
  t.equal(passes({ sequence: '-4' }), false);
  t.equal(passes({ sequence: 'x' }), false);
  t.equal(passes({}), false);
});
