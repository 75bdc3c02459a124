import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { run } from '../../cli/run.ts';
import { age, table } from '../../cli/table.ts';
import { serveAdmin } from '../console/setup.ts';
import { startIngress } from '../ingress/start.ts';
import { brokerText, triggerText } from '../registry/setup.ts';
import { startSink } from '../support/sink.ts';

t.test('apply speaks as kubectl does', async (t) => {
  const { posthorn, directory } = await setUp(t);
  const file = join(directory, 'orders.yaml');
  await writeFile(file, `${triggerText('orders', { broker: 'shop' })}---\n${brokerText('shop')}`);
  t.strictSame(await posthorn(['apply', '-f', file, '--dry-run']), {
    code: 0,
    out: 'broker.eventing.knative.dev/shop created (dry run)\ntrigger.eventing.knative.dev/orders created (dry run)\n',
    err: '',
  });
  const created = 'broker.eventing.knative.dev/shop created\ntrigger.eventing.knative.dev/orders created\n';
  t.strictSame(await posthorn(['apply', '-f', file]), { code: 0, out: created, err: '' });
  t.match(await posthorn(['apply', '-f', file]), { code: 0, out: /shop unchanged\n.*orders unchanged\n/ });
  await writeFile(file, triggerText('orders', { broker: 'shop', uri: 'http://new.example/' }));
  t.match(await posthorn(['apply', '-f', file]), { code: 0, out: 'trigger.eventing.knative.dev/orders configured\n' });
});

t.test('apply takes directories and standard input, and prunes what its owner left out', async (t) => {
  const { posthorn, directory } = await setUp(t);
  await mkdir(join(directory, 'more'));
  await writeFile(join(directory, 'a.yaml'), triggerText('a'));
  await writeFile(join(directory, 'more', 'b.json'), JSON.stringify({ ...parse(triggerText('b')) }));
  t.match(await posthorn(['apply', '-f', directory, '--owner', 'shop']), { out: /a created\n.*b created\n/ });
  t.match(await posthorn(['apply', '-f', '-', '-n', 'default'], triggerText('mine')), { out: /mine created/ });
  await rm(join(directory, 'more'), { recursive: true });
  t.match(await posthorn(['apply', '-f', directory, '--owner', 'shop', '--prune']), {
    code: 0,
    out: 'trigger.eventing.knative.dev/a unchanged\ntrigger.eventing.knative.dev/b pruned\n',
  });
  t.match(await posthorn(['get', 'triggers', '-o', 'name']), {
    out: 'trigger.eventing.knative.dev/a\ntrigger.eventing.knative.dev/mine\n',
  });
});

t.test('a refused apply names every problem with its place', async (t) => {
  const { posthorn, directory } = await setUp(t);
  const file = join(directory, 'bad.yaml');
  await writeFile(file, triggerText('a', { broker: 'nowhere' }));
  const { code, out, err } = await posthorn(['apply', '-f', file]);
  t.strictSame([code, out], [1, '']);
  t.match(err, `error: ${file}:6:11: spec.broker: no broker default/nowhere; make it`);
  t.match(err, /posthorn: nothing was applied: 1 problem\n$/);
});

t.test('a file that is no YAML is one error, with the place of the first that is wrong in it', async (t) => {
  const { posthorn, directory } = await setUp(t);
  const file = join(directory, 'README.md');
  const prose = '# Orders\n\nOrders come in:\n\n- `go`: they: go\n\nOr they stay: *here*: there\n';
  await writeFile(file, prose.repeat(20));
  const err = new RegExp(`^error: ${file}:5:3: not YAML: plain value [^\n;]+; 59 more errors after it\n`);
  t.match(await posthorn(['apply', '-f', file]), {
    code: 1,
    out: '',
    err: new RegExp(`${err.source}posthorn: nothing was applied: 1 problem\n$`),
  });
  t.match(await posthorn(['delete', '-f', file]), {
    code: 1,
    out: '',
    err: new RegExp(`${err.source}posthorn: nothing was deleted: the files have errors\n$`),
  });
  await writeFile(file, 'Orders come in and go out.\n');
  t.match(await posthorn(['apply', '-f', file]), {
    code: 1,
    err: /^[^\n]*:1:1: must be an object[^\n]*\n[^\n]*1 problem\n$/,
  });
});

t.test('get shows columns, all of one namespace or of every one', async (t) => {
  const { posthorn } = await setUp(t);
  t.match(await posthorn(['get', 'triggers']), { code: 0, out: '', err: 'No triggers found in namespace default.\n' });
  await posthorn(['apply', '-f', '-'], `${triggerText('orders')}---\n${triggerText('a')}`);
  const { out } = await posthorn(['get', 'triggers']);
  const [title, first, second] = out.split('\n');
  t.match(title, /^NAME +BROKER +SUBSCRIBER +OWNER +AGE +READY$/);
  t.match(first, /^a +default +http:\/\/handler\.example\/ +apply +\d+s +True$/);
  t.match(second, /^orders +default /);
  t.match(
    (await posthorn(['get', 'brokers', '-A', '-o', 'wide'])).out,
    /^NAMESPACE +NAME .*TOPIC.*\ndefault +default +2 +<none>/,
  );
  t.match((await posthorn(['get', 'trigger', 'orders', '-o', 'json'])).out, /"kind": "Trigger"/);
  t.equal(parse((await posthorn(['get', 'triggers', '-o', 'yaml'])).out).items.length, 2);
  t.match(await posthorn(['get', 'trigger', 'none']), { code: 1, err: 'posthorn: no trigger default/none\n' });
});

t.test('what get prints as YAML can be applied again', async (t) => {
  const { posthorn } = await setUp(t);
  await posthorn(['apply', '-f', '-'], `${triggerText('a', { type: 'x' })}---\n${triggerText('b')}`);
  for (const args of [
    ['get', 'triggers'],
    ['get', 'trigger', 'a'],
  ]) {
    const { out } = await posthorn([...args, '-o', 'yaml']);
    const again = await posthorn(['apply', '-f', '-'], out);
    t.match(again, { code: 0, err: '' });
    t.notMatch(again.out, /created|configured/);
  }
});

t.test('delete by name and by file; a missing one fails unless that is fine', async (t) => {
  const { posthorn, directory } = await setUp(t);
  const text = `${triggerText('a')}---\n${triggerText('b')}---\n${triggerText('c')}`;
  await posthorn(['apply', '-f', '-'], text);
  t.strictSame(await posthorn(['delete', 'trigger', 'a', '--discard-backlog']), {
    code: 0,
    out: 'trigger.eventing.knative.dev "a" deleted\n',
    err: '',
  });
  const partly = await posthorn(['delete', 'trigger', 'a', 'b']);
  t.match(partly, { code: 1, out: /"b" deleted/, err: 'posthorn: no trigger default/a\n' });
  const file = join(directory, 'all.yaml');
  await writeFile(file, text);
  t.match(await posthorn(['delete', '-f', file, '--ignore-not-found']), { code: 0, out: /^[^\n]*"c" deleted\n$/ });
  await posthorn(['apply', '-f', file, '--owner', 'shop']);
  t.match(await posthorn(['delete', 'trigger', 'a']), { code: 1, err: /belongs to the owner shop.*--owner shop/ });
  t.match(await posthorn(['delete', 'trigger', 'a', '--owner', 'shop']), { code: 0 });
});

t.test('a wrong command line is told with exit code 2', async (t) => {
  const { posthorn } = await setUp(t);
  t.match(await posthorn(['apply']), { code: 2, err: /-f FILE/ });
  t.match(await posthorn(['apply', 'a.yaml']), { code: 2, err: /with -f/ });
  t.match(await posthorn(['get']), { code: 2, err: /triggers, brokers or dead-letters/ });
  t.match(await posthorn(['get', 'trigers']), { code: 2, err: /did you mean triggers/ });
  t.match(await posthorn(['get', 'triggers', '-o', 'jsn']), { code: 2, err: /did you mean json/ });
  t.match(await posthorn(['get', 'trigger', 'a', '-A']), { code: 2 });
  t.match(await posthorn(['delete', 'trigger']), { code: 2 });
  t.match(await posthorn(['delete', 'broker', 'a']), { code: 2, err: /can't be deleted yet/ });
  t.match(await posthorn(['get', 'triggers', '--server', 'localhost:8081']), {
    code: 2,
    err: /--server must be a URL/,
  });
});

t.test('where no Posthorn answers, one sentence says what to do', async (t) => {
  const gone = await startSink();
  await gone.close();
  const refused = await posthornAt(gone.url, ['get', 'triggers']);
  t.strictSame(refused, {
    code: 1,
    out: '',
    err: `posthorn: no Posthorn answers at ${gone.url} (connection refused); start one with posthorn serve, or name another with --server or POSTHORN_SERVER\n`,
  });
  const other = await startSink(() => ({ body: '<html>' }));
  t.teardown(() => other.close());
  t.match(await posthornAt(other.url, ['get', 'triggers']), { code: 1, err: /not as the admin port of Posthorn does/ });
  t.match(await posthornAt(gone.url, ['apply', '-f', 'does-not-exist.yaml']), {
    code: 1,
    err: /does-not-exist\.yaml can't be read/,
  });
});

t.test('the port for events in place of the admin port is told as such', async (t) => {
  const { directory } = await setUp(t);
  const ingress = await startIngress();
  t.teardown(() => ingress.close());
  const file = join(directory, 'a.yaml');
  await writeFile(file, triggerText('a'));
  const err = `posthorn: ${ingress.origin} answered 404, but not as the admin port of Posthorn does; it is likely the port for events; name the admin port with --server or POSTHORN_SERVER (http://127.0.0.1:8081 unless set otherwise)\n`;
  for (const command of [
    ['get', 'triggers'],
    ['get', 'brokers', '-A'],
    ['get', 'trigger', 'a'],
    ['apply', '-f', file],
    ['delete', 'trigger', 'a', '--ignore-not-found'],
  ]) {
    t.strictSame(await posthornAt(ingress.origin, command), { code: 1, out: '', err }, command.join(' '));
  }
});

t.test('a name of any length is looked up', async (t) => {
  const { posthorn } = await setUp(t);
  const name = 'long-name.'.repeat(18).slice(0, -1);
  t.match(await posthorn(['apply', '-f', '-'], triggerText(name)), { code: 0, err: '' });
  t.match(await posthorn(['get', 'trigger', name, '-o', 'name']), {
    code: 0,
    out: `trigger.eventing.knative.dev/${name}\n`,
  });
  t.match(await posthorn(['delete', 'trigger', name]), { code: 0 });
  const longer = 'o'.repeat(2_000);
  t.match(await posthorn(['get', 'trigger', longer]), { code: 1, err: `posthorn: no trigger default/${longer}\n` });
});

t.test('the token goes along where there is one', async (t) => {
  const sink = await startSink(() => ({ body: '{"items": []}' }));
  t.teardown(() => sink.close());
  await posthornAt(`${sink.url}/behind/a/path`, ['get', 'brokers', '-A'], '', { POSTHORN_TOKEN: 'secret' });
  t.match(sink.requests, [{ path: '/behind/a/path/api/v1/brokers', headers: { authorization: 'Bearer secret' } }]);
});

t.test('columns are as wide as their widest cell, ages as kubectl shows them', async (t) => {
  t.equal(
    table([
      ['NAME', 'AGE'],
      ['a-long-name', '1s'],
      ['b', ''],
    ]),
    'NAME          AGE\na-long-name   1s\nb             <none>\n',
  );
  const minutes = (n: number): number => n * 60_000;
  const ages = [
    -5,
    0,
    119_999,
    minutes(2),
    minutes(3) + 20_000,
    minutes(179),
    minutes(180),
    minutes(310),
    minutes(600),
  ];
  t.strictSame(ages.map(age), ['0s', '0s', '119s', '2m', '3m20s', '179m', '3h', '5h10m', '10h']);
  t.strictSame([minutes(60 * 49), minutes(60 * 24 * 3), minutes(60 * 24 * 400)].map(age), ['2d1h', '3d', '400d']);
});

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function setUp(t: Test) {
  const { url } = await serveAdmin(t);
  const directory = await mkdtemp(join(tmpdir(), 'posthorn-cli-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return { directory, posthorn: (args: readonly string[], stdin = '') => posthornAt(url, args, stdin) };
}

async function posthornAt(
  server: string,
  args: readonly string[],
  stdin = '',
  env: Record<string, string> = {},
): Promise<Ran> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const given = args.includes('--server') ? {} : { POSTHORN_SERVER: server };
  const code = await run(args, { env: { ...given, ...env }, stdin: Readable.from([stdin]), stdout, stderr });
  const text = (stream: PassThrough): string => (stream.read() as Buffer | null)?.toString('utf8') ?? '';
  return { code, out: text(stdout), err: text(stderr) };
}
