import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { posthorn } from '../support/cli.ts';
import { triggerYaml } from '../support/triggers.ts';

const root = join(import.meta.dirname, '../..');
const subscriber = 'http://handler.example/';
const orders = triggerYaml('orders', subscriber, { filters: '[{ exact: { type: order.created, source: /shop } }]' });
const audit = triggerYaml('audit', subscriber, { filters: '[{ not: { prefix: { type: test. } } }]' });

/** A directory with the triggers orders and audit, and this file of fixtures. */
function withFixtures(t: Test, fixtures: string): string {
  return t.testdir({ 'orders.yaml': orders, 'audit.yaml': audit, 'shop.fixtures.yaml': fixtures });
}

t.test('the triggers of the examples reach what their fixtures say', async (t) => {
  const { code, stdout, stderr } = await posthorn(['test', join(root, 'examples')]);
  t.strictSame([code, stderr], [0, '']);
  t.match(
    stdout,
    /^ok {6}\S*page-change\.fixtures\.yaml: \d+ fixtures\nok {6}\S*quickstart\.fixtures\.yaml: \d+ fixtures\n/,
  );
  t.match(stdout, /\n\d+ fixtures ok\n$/);
});

t.test('the fixtures of docs/triggers.md are read as it says', async (t) => {
  const docs = readFileSync(join(root, 'docs/triggers.md'), 'utf8');
  const shown = [...docs.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].find(([, text = '']) => text.startsWith('fixtures:'));
  const directory = t.testdir({
    'a.yaml': [
      triggerYaml('mail', subscriber, { filters: '[{ suffix: { type: .created } }]' }),
      triggerYaml('customs', subscriber, {
        filters: '[{ cesql: "country != \'DE\'" }]',
        annotations: { 'posthorn.dev/data-filter': 'data.total > 1000' },
      }),
    ].join('---\n'),
    'docs.fixtures.yaml': shown?.[1] ?? '',
  });
  t.match(await posthorn(['test', directory]), { code: 0, stdout: /\n2 fixtures ok\n$/ });
});

t.test('a failure shows what was expected, what came, and why', async (t) => {
  const directory = withFixtures(
    t,
    `fixtures:
  - name: good
    event: { type: order.created, source: /shop }
    triggers: [audit, orders]
  - name: an order from elsewhere
    event: { type: order.created, source: /market }
    triggers: [orders]
  - event: { type: test.order, source: /shop, subject: '17' }
    triggers: [audit]
`,
  );
  const file = join(directory, 'shop.fixtures.yaml');
  t.strictSame(await posthorn(['test', directory]), {
    code: 1,
    stdout: `FAILED  ${file}: 2 of 3 fixtures

  ${file}:5: an order from elsewhere
      expected: orders
      actual:   audit
      + audit gets it and should not: its condition is met
          this does not hold, as it should be  (filters[0].not)
            type must begin with "test.", but is "order.created"  (filters[0].not.prefix.type)
      - orders should get it and does not: 1 of 2 conditions met
          source must be "/shop", but is "/market"  (filters[0].exact.source)

  ${file}:8: test.order 17
      expected: audit
      actual:   (none)
      - audit should get it and does not: its condition is not met
          this must not hold, but does  (filters[0].not)
            type "test.order" begins with "test."  (filters[0].not.prefix.type)

1 fixture ok, 2 failed
`,
    stderr: '',
  });
  const { code, stdout } = await posthorn(['test', file, '-o', 'json']);
  t.equal(code, 1);
  t.match(JSON.parse(stdout), {
    ok: false,
    files: [
      {
        file,
        problems: [],
        fixtures: [
          { name: 'good', line: 2, ok: true, wrong: [] },
          { ok: false, expected: ['orders'], actual: ['audit'], wrong: [{ trigger: 'audit' }, { trigger: 'orders' }] },
          { ok: false, wrong: [{ trigger: 'audit', passes: false, reasons: [{ field: 'spec.filters[0].not' }] }] },
        ],
      },
    ],
  });
});

t.test('each directory is judged by itself, with the triggers of those below it', async (t) => {
  const reachesBoth = `fixtures: [{ event: { type: order.created, source: /shop }, triggers: [audit, orders] }]`;
  const nobody = `fixtures: [{ event: { type: order.created, source: /elsewhere }, triggers: [] }]`;
  const directory = t.testdir({
    shop: { 'orders.yaml': orders, below: { 'audit.yaml': audit }, 'shop.fixtures.yaml': reachesBoth },
    other: { 'orders.yaml': orders, 'other.fixtures.yml': nobody },
  });
  t.match(await posthorn(['test', directory]), {
    code: 0,
    stdout: /other\.fixtures\.yml: 1 fixture\n[\s\S]*\n2 fixtures ok\n$/,
  });
  t.match(await posthorn(['test', join(directory, 'shop'), join(directory, 'shop/shop.fixtures.yaml')]), {
    code: 0,
    stdout: /\n1 fixture ok\n$/,
  });
});

t.test('of several brokers the file says which gets the events', async (t) => {
  const elsewhere = audit.replace('broker: default', 'broker: other');
  const fixtures = `fixtures: [{ event: { type: order.created, source: /shop }, triggers: [audit] }]`;
  const test = async (text: string) => {
    const directory = t.testdir({ 'a.yaml': orders, 'b.yaml': elsewhere, 'a.fixtures.yaml': text });
    return posthorn(['test', directory]);
  };
  t.match(await test(fixtures), {
    code: 1,
    stdout:
      /a\.fixtures\.yaml:1:1: broker: missing; the triggers are of default\/default, default\/other: say which gets/,
  });
  t.match(await test(`broker: other\n${fixtures}`), { code: 0 });
  t.match(await test(`broker: default/default\n${fixtures}`), {
    code: 1,
    stdout: /a\.fixtures\.yaml:2:\d+: fixtures\[0\]\.triggers\[0\]: there is no trigger "audit"; there are orders\n/,
  });
  t.match(await test(`broker: shop/default\n${fixtures}`), {
    code: 1,
    stdout:
      /a\.fixtures\.yaml:1:9: broker: there is no trigger of shop\/default here, but of default\/default, default\/other/,
  });
});

t.test('mistakes in a file of fixtures are told with their place, and nothing of it is judged', async (t) => {
  const cases: [text: string, problems: string[]][] = [
    ['', ['1:1: the file is empty; it must have a list of fixtures']],
    ['- a', ['1:1: must be an object, found a list']],
    ['fixtures: []', ['1:11: fixtures: must have at least one fixture']],
    ['fixtures: {}', ['1:11: fixtures: must be a list, found an object']],
    ['fixtures: [', ['1:12: not YAML: flow sequence']],
    ['a: 1\n---\nb: 2', ['1:1: one document is expected here; put all fixtures into one list']],
    [
      'fixture:\n  - event: {}',
      [
        '1:1: fixture: unknown field; did you mean fixtures?',
        '1:1: fixtures: missing; must be a list of events, each with its triggers',
      ],
    ],
    [
      'fixtures:\n  - event: { type: 7, source: /a }\n    trigers: [orders]',
      [
        '2:5: fixtures[0].triggers: missing; must be a list of names, [] where no trigger is to get it',
        '2:20: fixtures[0].event.type: attribute type is the number "7": a JSON string is wanted',
        '3:5: fixtures[0].trigers: unknown field; did you mean triggers?',
      ],
    ],
    [
      'fixtures:\n  - event: { source: /a, Type: a }\n    triggers: orders',
      [
        '2:32: fixtures[0].event.Type: "Type" can not be the name of an attribute: it takes letters a-z and digits only',
        '3:15: fixtures[0].triggers: must be a list, found "orders"',
      ],
    ],
    [
      'fixtures:\n  - event: { type: a, source: /a, data: 1, data_base64: MQ== }\n    triggers: [ordres, audit, audit, ~]',
      [
        '2:57: fixtures[0].event.data_base64: data and data_base64 are both there; an event has one of them',
        '3:16: fixtures[0].triggers[0]: there is no trigger "ordres"; did you mean orders?',
        '3:31: fixtures[0].triggers[2]: given twice',
        '3:38: fixtures[0].triggers[3]: must be the name of a trigger, found nothing',
      ],
    ],
    [
      'fixtures:\n  - triggers: []\n  - event: 7\n    triggers: []\n    event: x',
      [
        '2:5: fixtures[0].event: missing; must have at least a type and a source',
        '5:5: fixtures[1].event: given twice, first at 3:5; keep one',
        '5:12: fixtures[1].event: must be an object, found "x"',
      ],
    ],
  ];
  for (const [text, problems] of cases) {
    const directory = withFixtures(t, text);
    const { code, stdout } = await posthorn(['test', directory]);
    t.equal(code, 1);
    const told = stdout.split('\n').filter((line) => line.startsWith('error: '));
    t.equal(told.length, problems.length, text);
    for (const [index, problem] of problems.entries()) t.match(told[index], problem, text);
    t.match(stdout, /\n0 fixtures ok, \d errors? in files\n$/);
  }
});

t.test('manifests with errors are told once, and what can not be tested is an error', async (t) => {
  const fixture = 'fixtures: [{ event: { type: a, source: a }, triggers: [] }]';
  const broken = t.testdir({
    'a.yaml': orders.replace('spec', 'spce'),
    'a.fixtures.yaml': fixture,
    'b.fixtures.yaml': fixture,
  });
  const { code, stdout } = await posthorn(['test', broken]);
  t.equal(code, 1);
  t.equal(stdout.split('unknown field').length, 2, stdout);
  const alone = t.testdir({ 'a.fixtures.yaml': fixture, below: { 'README.md': '' } });
  t.match(await posthorn(['test', alone]), {
    code: 1,
    stdout:
      /a\.fixtures\.yaml:1:1: there is no trigger in its directory or below it; fixtures stand beside the triggers/,
  });
  t.match(await posthorn(['test', join(alone, 'below')]), {
    code: 1,
    stderr: /: no \*\.fixtures\.yaml in .*below or below it\n/,
  });
  t.match(await posthorn(['test', join(alone, 'gone')]), {
    code: 1,
    stderr: /gone can't be read: there is no such file \(ENOENT\)/,
  });
  t.match(await posthorn(['test']), { code: 2, stderr: 'which triggers? Name their directory: posthorn test DIR' });
  t.match(await posthorn(['test', alone, '-o', 'yaml']), {
    code: 2,
    stderr: '-o yaml is not known here; there is -o json',
  });
});

t.test('posthorn check passes over fixtures, also where they are wrong', async (t) => {
  t.match(await posthorn(['check', withFixtures(t, 'x: [')]), { code: 0, stdout: '2 triggers, 0 brokers, 0 errors' });
});
