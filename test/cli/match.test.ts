import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { serveAdmin } from '../console/setup.ts';
import { posthorn } from '../support/cli.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';

const root = join(import.meta.dirname, '../..');
const fixtures = join(root, 'test/fixtures/page-changes');
const twenty = ['--triggers', join(fixtures, 'triggers.yaml')];
const pageChange = join(fixtures, 'event.json');

const event = { specversion: '1.0', id: '17', source: '/shop', type: 'com.example.order.created' };
const orders = triggerYaml('orders', 'http://handler.example/', {
  filters: '[{ exact: { type: com.example.order.created } }]',
});
const bills = triggerYaml('bills', 'http://handler.example/', { filters: '[{ prefix: { type: com.example.bill. } }]' });

t.test('a page change against twenty triggers reads as test/fixtures/page-changes/explained.txt', async (t) => {
  const { code, stdout, stderr } = await posthorn(['match', pageChange, ...twenty]);
  t.strictSame([code, stderr], [0, '']);
  t.equal(stdout, readFileSync(join(fixtures, 'explained.txt'), 'utf8'));
});

t.test('as JSON the triggers are in the same order: near misses, those that get it, the others', async (t) => {
  const { stdout } = await posthorn(['match', pageChange, ...twenty, '-o', 'json']);
  const names = JSON.parse(stdout).items[0].triggers.map((one: { name: string }) => one.name);
  const text = readFileSync(join(fixtures, 'explained.txt'), 'utf8');
  t.strictSame(
    names,
    [...text.matchAll(/^ {2}([\w-]+)(?::|$)/gm)].map(([, name]) => name),
  );
  t.equal(names.length, 20);
});

t.test('one trigger is explained whole, also where it gets the event', async (t) => {
  const of = async (name: string): Promise<string> => {
    const { stdout } = await posthorn(['match', pageChange, ...twenty, '--trigger', name]);
    return stdout.split('\n').slice(1).join('\n');
  };
  t.equal(
    await of('page-content'),
    `page-content gets it: 2 of 2 conditions met
  type is "org.wikimedia.mediawiki.page_change.v1"  (filters[0].exact.type)
  this does not hold, as it should be  (filters[1].not)
    changekind must be "delete", but is "edit"  (filters[1].not.exact.changekind)
`,
  );
  t.equal(
    await of('german-wiki'),
    `german-wiki does not get it: 1 of 2 conditions met
  wikiid must be "dewiki", but is "examplewiki"  (filters[0].exact.wikiid)
`,
  );
  t.equal(await of('audit-log'), 'audit-log gets it: it has no filter\n');
  t.match(await posthorn(['match', pageChange, ...twenty, '--trigger', 'talk-page']), {
    code: 1,
    stderr: 'posthorn: broker default/default has no trigger talk-page; did you mean talk-pages?\n',
  });
});

t.test('the payload of an example with the flags of send is the same event', async (t) => {
  const payload = join(root, 'examples/page-change/events/1-edit-zurich.json');
  const { stdout } = await posthorn([
    ...['match', '--type', 'org.wikimedia.mediawiki.page_change.v1', '--source', 'https://wiki.example.org'],
    ...['--subject', 'Zürich', '--data', `@${payload}`, '-e', 'wikiid=examplewiki', '-e', 'changekind=edit'],
    ...['-e', 'pagenamespace=0', '-e', 'bot=false', '--id', '00000000-0000-0000-0000-000000001001', ...twenty],
  ]);
  t.equal(stdout, readFileSync(join(fixtures, 'explained.txt'), 'utf8'));
  t.match(await posthorn(['match', payload, ...twenty]), {
    code: 1,
    stdout: '',
    stderr: `posthorn: ${payload} is JSON, but no CloudEvent: it has no specversion; if it is the data of an event, say what event: --type TYPE --data @FILE\n`,
  });
});

t.test('without --triggers the running Posthorn is asked, for the triggers of one broker', async (t) => {
  const { url } = await serveAdmin(t);
  const elsewhere = orders.replace('name: orders', 'name: orders\n  namespace: shop').replace(' default', ' sales');
  const broker = elsewhere
    .replace('Trigger', 'Broker')
    .replace('name: orders', 'name: sales')
    .replace(/spec:[\s\S]*/, '');
  await applyTo(url, orders, bills, broker, elsewhere);
  const match = (...args: string[]) => {
    return posthorn(['match', '-', ...args], { env: { POSTHORN_SERVER: url }, stdin: JSON.stringify(event) });
  };
  t.strictSame(await match(), {
    code: 0,
    stdout: `Event 17 of /shop: type com.example.order.created
1 of 2 triggers gets it: orders

Get it:
  orders: its condition is met

Ask for something else:
  bills
    type must begin with "com.example.bill.", but is "com.example.order.created"  (filters[0].prefix.type)
`,
    stderr: '',
  });
  t.match(await match('-n', 'shop', '--broker', 'sales'), { stdout: /\n1 of 1 trigger gets it: orders\n/ });
  t.strictSame(await match('-n', 'shop'), {
    code: 1,
    stdout: '',
    stderr:
      'posthorn: the running Posthorn has no trigger of broker shop/default; there are some of default/default, shop/sales: name the broker with -n and --broker\n',
  });
});

t.test('-o json has the verdicts, the counts and the reasons with their values', async (t) => {
  const directory = t.testdir({ 'a.yaml': orders, 'b.yaml': bills, 'event.json': JSON.stringify(event) });
  const files = ['--triggers', directory];
  const { stderr } = await posthorn(['match', join(directory, 'event.json'), ...files]);
  t.match(
    stderr,
    /event\.json:1:1: kind: missing[\s\S]*the manifests of .* have errors, so who gets the event can't be/,
  );
  const offline = ['--triggers', join(directory, 'b.yaml'), '-o', 'json'];
  const { code, stdout } = await posthorn(['match', join(directory, 'event.json'), ...offline]);
  t.equal(code, 0);
  t.strictSame(JSON.parse(stdout), {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'posthorn.dev/v1',
        kind: 'Match',
        event: { id: '17', source: '/shop', type: 'com.example.order.created' },
        triggers: [
          {
            namespace: 'default',
            name: 'bills',
            passes: false,
            conditions: 1,
            met: 0,
            reasons: [
              {
                field: 'spec.filters[0].prefix.type',
                message: 'type must begin with "com.example.bill.", but is "com.example.order.created"',
                seen: { type: 'com.example.order.created' },
                because: [],
              },
            ],
          },
        ],
      },
    ],
  });
});

t.test('a file may have several events: one a line, or as a batch', async (t) => {
  const lines = `${JSON.stringify(event)}\r\n\n${JSON.stringify({ ...event, id: '18', type: 'x' })}\n`;
  const directory = t.testdir({
    'lines.ndjson': `\ufeff${lines}`,
    'batch.json': ` [${lines.trim().split(/\s+/).join()}]`,
    'pretty.json': JSON.stringify(event, null, 2),
    'many.ndjson': `${JSON.stringify(event)}\n`.repeat(101),
    triggers: { 'a.yaml': orders },
  });
  const match = (file: string) => posthorn(['match', join(directory, file), '--triggers', join(directory, 'triggers')]);
  const { stdout } = await match('lines.ndjson');
  t.match(stdout, /^Event 17 .*\n1 of 1 trigger gets it: orders\n\n.*\n.*\n\nEvent 18 .*\n0 of 1 trigger get it\n/);
  t.equal((await match('batch.json')).stdout, stdout);
  t.match((await match('pretty.json')).stdout, /^Event 17 /);
  t.match(await match('many.ndjson'), { code: 1, stderr: /has 101 events, at most 100 are explained; posthorn try / });
});

t.test('what is no event, and a wrong command line, say what would be right', async (t) => {
  const good = JSON.stringify(event);
  const directory = t.testdir({
    'empty.json': ' \n',
    'broken.json': '{\n  "specversion": "1.0",\n  "id: 1\n}',
    'wrong.json': JSON.stringify({ ...event, type: 7 }),
    'lines.ndjson': `${good}\n${good.slice(0, -5)}\n`,
    'none.json': '[]',
    triggers: { 'a.yaml': orders },
    nothing: {},
  });
  const at = (name: string): string => join(directory, name);
  const refusals: [string[], number, string | RegExp][] = [
    [[at('empty.json')], 1, 'empty.json is empty; it is to be a CloudEvent as JSON, as a whole or one on each line\n'],
    [[at('broken.json')], 1, /broken\.json is not JSON at 3:9: .*; it is to be a CloudEvent as JSON/],
    [[at('wrong.json')], 1, 'wrong.json is no CloudEvent: attribute type is the number "7": a JSON string is wanted\n'],
    [[at('lines.ndjson')], 1, /line 2 of .*lines\.ndjson is no CloudEvent: /],
    [[at('none.json')], 1, 'none.json has no event; it is to be'],
    [[at('gone.json')], 1, "gone.json can't be read: there is no such file (ENOENT)\n"],
    [[], 2, 'which event? Name a file with it, - for standard input, or say --type and --data\n'],
    [['a', 'b'], 2, 'match takes one file of events, but got a b\n'],
    [
      ['a', '--type', 'x'],
      2,
      '--type makes an event, and a has one already; if it is the data of an event, write --data @a',
    ],
    [
      ['--type', 'x', '--server', 'http://localhost'],
      2,
      '--triggers asks no server: leave out --server, or --triggers\n',
    ],
    [['--type', 'x', '-o', 'yaml'], 2, '-o yaml is not known here; there is -o json\n'],
    [['--type', 'x', '--time', 'now'], 1, 'attribute time is "now": a time of RFC 3339 is wanted'],
  ];
  for (const [args, code, stderr] of refusals) {
    const ran = await posthorn(['match', ...args, '--triggers', at('triggers')]);
    t.match(ran, { code, stdout: '', stderr }, args.join(' '));
  }
  t.match(await posthorn(['match', '--type', 'x', '--triggers', at('nothing')]), { code: 1, stderr: /no \*\.yaml/ });
  t.match(await posthorn(['match', '--type', 'x', '--triggers', at('triggers'), '-b', 'other']), {
    code: 1,
    stderr: /triggers has no trigger of broker default\/other; there are some of default\/default: /,
  });
});

t.test('what an expression holds does not reach the terminal as a command to it', async (t) => {
  const filters = JSON.stringify([{ cesql: "subject = '\u001b[2J\n'" }]);
  const directory = t.testdir({ 'a.yaml': triggerYaml('odd', 'http://handler.example/', { filters }) });
  const { stdout } = await posthorn(['match', '--type', 'x', '--subject', 'y', '--triggers', directory]);
  t.match(stdout, '\n    subject = \'\ufffd[2J\ufffd\' does not hold, as subject is "y"  (filters[0].cesql)\n');
});
