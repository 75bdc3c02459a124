import t from 'tap';
import { type Condition, inOrder } from '../../../broker/filter/index/term.ts';
import { termsOf } from '../../../broker/filter/index/terms.ts';
import type { Filter } from '../../../broker/trigger/trigger.ts';

/** A term as text: `type=a source^/x ext$z ext?`, and `…` where something is left to be asked. */
function termsText(filters: readonly Filter[]): string[] {
  return termsOf(filters).map(({ conditions, rest }) => {
    return [...inOrder(conditions).map(conditionText), ...(rest.length > 0 ? ['…'] : [])].join(' ');
  });
}

function conditionText({ attribute, kind, text }: Condition): string {
  if (kind === 'equals') return `${attribute}=${text}`;
  if (text === '') return `${attribute}?`;
  return `${attribute}${kind === 'prefix' ? '^' : '$'}${text}`;
}

const expressions: readonly (readonly [expression: string, terms: readonly string[]])[] = [
  ["type = 'a'", ['type=a']],
  ["'a' = ext", ['ext=a']],
  ["type = 'a' AND source LIKE '/x/%'", ['type=a source^/x/']],
  ["TRUE AND type = 'a'", ['type=a']],
  ["FALSE AND type = 'a'", []],
  ["type IN ('a', 'b', 'a')", ['type=a', 'type=b']],
  ['ext IN (5, TRUE)', ['ext=5', 'ext=true']],
  ["ext NOT IN ('a')", ['ext? …']],
  ["ext IN (other, 'a')", ['ext? other? …']],
  ["ext LIKE 'a'", ['ext=a']],
  ["ext LIKE '%a'", ['ext$a']],
  ["ext LIKE '%'", ['ext?']],
  ["ext LIKE 'a%%'", ['ext^a']],
  ["ext LIKE 'a\\%b\\_%'", ['ext^a%b_']],
  ["ext LIKE 'a%b'", ['ext^a ext$b …']],
  ["ext LIKE 'a%b%c'", ['ext^a ext$c …']],
  ["ext LIKE 'a_'", ['ext^a …']],
  ["ext LIKE '%b%'", ['ext? …']],
  ["ext NOT LIKE 'a%'", ['ext? …']],
  ["type = 'a' OR source = 'b'", ['type=a', 'source=b']],
  ["type = 'a' OR ext = 'b'", ['type=a', 'ext=b']],
  // Where ext is missing there is an error, whatever the type is.
  ["ext = 'b' OR type = 'a'", ['ext=b', 'type=a ext?']],
  ["ext > 3 OR type = 'a'", ['ext? …', 'type=a ext? …']],
  ["(EXISTS ext AND type = 'a') OR type = 'b'", ['type=a ext?', 'type=b']],
  ["type = 'a' XOR source = 'b'", ['type=a …', 'source=b …']],
  ["type = 'a' OR type = 'b' AND ext = 'c'", ['type=a ext=c', 'type=b ext=c']],
  ["type = 'a' AND LENGTH(subject) > 3", ['type=a subject? …']],
  ["NOT (type = 'a')", ['…']],
  ["NOT (ext = 'a')", ['ext? …']],
  ["ext != 'a'", ['ext? …']],
  ['ext = 5', ['ext? …']],
  ['flag AND EXISTS ext', ['ext? flag? …']],
  ["type = LOWER('A')", ['…']],
];

t.test('what of an expression can be looked up, and whether anything is left to be asked', async (t) => {
  for (const [expression, terms] of expressions) {
    t.strictSame(termsText([{ dialect: 'cesql', expression }]).toSorted(), terms.toSorted(), expression);
  }
});

const type: Filter = { dialect: 'exact', attributes: { type: 'a' } };
const either: Filter = { dialect: 'any', filters: [{ dialect: 'exact', attributes: { ext: 'b' } }, type] };
const neither: Filter = { dialect: 'not', filter: either };

t.test('what of the other dialects can be looked up', async (t) => {
  const source: Filter = { dialect: 'prefix', attributes: { source: '/x', subject: 'y' } };
  t.strictSame(termsText([]), ['']);
  t.strictSame(termsText([type, source]), ['type=a source^/x subject^y']);
  t.strictSame(termsText([{ dialect: 'suffix', attributes: { ext: 'z' } }]), ['ext$z']);
  t.strictSame(termsText([{ dialect: 'attributes', attributes: { ext: '', type: 'a' } }]), ['type=a ext? …']);
  t.strictSame(termsText([either]), ['ext=b', 'type=a']);
  t.strictSame(termsText([either, source]), ['ext=b source^/x subject^y', 'type=a source^/x subject^y']);
  t.strictSame(termsText([neither]), ['…']);
  t.strictSame(termsText([{ dialect: 'any', filters: [type, neither] }]), ['type=a', '…']);
});

t.test('only what is not proven is left to be asked', async (t) => {
  const [term] = termsOf([type, neither, { dialect: 'all', filters: [type, neither] }]);
  t.strictSame(term?.rest, [neither]);
  const cesql: Filter = { dialect: 'cesql', expression: "type = 'a'" };
  t.strictSame(termsOf([cesql, type])[0]?.rest, []);
});

t.test('terms and their conditions are not too many: the rest is asked', async (t) => {
  const list = (count: number): string => `(${Array.from({ length: count }, (_, n) => `'${n}'`).join()})`;
  const termsOfExpression = (expression: string) => termsOf([{ dialect: 'cesql', expression }]);
  const [allProven, allAsked] = [
    termsOfExpression(`ext IN ${list(1_024)}`),
    termsOfExpression(`ext IN ${list(1_025)}`),
  ];
  t.equal(allProven.length, 1_024);
  t.match(allAsked, [{ conditions: [], rest: [{ dialect: 'cesql' }] }]);
  t.equal(termsOfExpression(`ext IN ${list(8)} AND type IN ${list(8)}`).length, 64);
  const [first, ...others] = termsOfExpression(`ext IN ${list(8)} AND type IN ${list(9)}`);
  t.equal(others.length, 7, 'the shorter list');
  t.match(first, { conditions: [{ attribute: 'ext' }], rest: [{ dialect: 'cesql' }] });
  t.equal(termsOfExpression(`type = 'a' AND ext IN ${list(100)}`).length, 100);
  const inTurn = (count: number): string =>
    Array.from({ length: count }, () => "AND type = 'a' OR ext = 'b'").join(' ');
  t.equal(termsOfExpression(`ext = 'c' ${inTurn(16)}`).length, 17);
  t.match(termsOfExpression(`ext = 'c' ${inTurn(17)}`), [{ conditions: [{ attribute: 'ext' }], rest: [{}] }]);
  const attributes = Object.fromEntries(Array.from({ length: 17 }, (_, n) => [`a${n}`, 'x']));
  const exact: Filter = { dialect: 'exact', attributes };
  t.match(termsOf([exact]), [{ conditions: { length: 16 }, rest: [exact] }]);
});
