import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { check } from '../../cli/check.ts';
import type { ExitCode, Invocation } from '../../cli/command.ts';
import { posthorn } from '../support/cli.ts';
import { triggerWith } from '../trigger/said-of.ts';

const good = triggerWith("  subscriber: { uri: 'http://orders:8080/' }");
const broker = `apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: { name: default }
spec: { config: { kind: ConfigMap, name: kafka, apiVersion: v1 } }
`;

async function run(
  positionals: readonly string[],
  options: Invocation['options'] = {},
): Promise<{ code: ExitCode; out: string }> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const code = await check.run({ positionals, options, env: {}, stdin: new PassThrough().end(), stdout, stderr });
  stdout.end();
  return { code, out: await text(stdout) };
}

t.test('a directory without a mistake: the counts, and exit code 0', async (t) => {
  const directory = t.testdir({ 'orders.yaml': good, shop: { 'broker.yml': broker } });
  const { code, out } = await run([directory]);
  t.equal(code, 0);
  t.equal(
    out,
    `${directory}/shop/broker.yml:4:9: warning: spec.config: no effect here: topics are set up by Posthorn's own configuration
1 trigger, 1 broker, 0 errors, 1 warning
`,
  );
});

t.test('mistakes in several files: all of them, and exit code 1', async (t) => {
  const directory = t.testdir({
    'a.yaml': triggerWith('  subscriber: { uri: here }\n  brokr: x'),
    'b.yaml': good,
    'c.json': '{"kind": "Trigger"',
  });
  const { code, out } = await run([directory]);
  t.equal(code, 1);
  t.equal(
    out,
    `${directory}/a.yaml:5:22: error: spec.subscriber.uri: must be an absolute http or https URL, found "here"; write http://here
${directory}/a.yaml:6:3: error: spec.brokr: unknown field; did you mean broker?
${directory}/c.json:1:19: error: not YAML: flow map must end with a }
1 trigger, 0 brokers, 3 errors, 0 warnings
`,
  );
});

t.test('the same trigger in two files: an error that names both places', async (t) => {
  const directory = t.testdir({ 'a.yaml': good, 'b.yaml': `# orders once more\n${good}` });
  const { code, out } = await run([directory]);
  t.equal(code, 1);
  t.equal(
    out,
    `${directory}/b.yaml:4:19: error: metadata.name: Trigger default/orders is also in ${directory}/a.yaml:3:19; keep one of the two
1 trigger, 0 brokers, 1 error, 0 warnings
`,
  );
});

t.test('a file is checked whatever it is called, and once', async (t) => {
  const directory = t.testdir({ 'a.yaml': good, 'orders.manifest': good.replace('orders }', 'other }') });
  const { code, out } = await run([directory, join(directory, 'a.yaml'), join(directory, 'orders.manifest')]);
  t.equal(code, 0);
  t.equal(out, '2 triggers, 0 brokers, 0 errors, 0 warnings\n');
});

t.test('-n is the namespace of manifests that name none', async (t) => {
  const elsewhere = good.replace('name: orders', 'name: orders, namespace: shop');
  const directory = t.testdir({ 'a.yaml': elsewhere, 'b.yaml': good });
  t.match(await run([directory]), { code: 0 });
  t.match(await run([directory], { namespace: 'shop' }), { code: 1, out: /Trigger shop\/orders is also in/ });
});

t.test('--prefix is that of posthorn serve: with it the names of topics may be too long', async (t) => {
  const directory = t.testdir({ 'a.yaml': good.replace('name: orders', `name: ${'o'.repeat(200)}`) });
  t.match(await run([directory]), { code: 0 });
  t.match(await run([directory], { prefix: 'a-data-centre-far-away.posthorn' }), { code: 1, out: /249/ });
  t.match(await posthorn(['check', directory, '--prefix', 'eqiad.posthorn']), { code: 0, stderr: '' });
  t.match(await posthorn(['check', directory, '--prefix', 'a_b']), {
    code: 2,
    stderr: /^posthorn: --prefix must be letters, digits, - [^\n]*, not a_b\n/,
  });
});

t.test('-o json prints what a program reads', async (t) => {
  const directory = t.testdir({ 'a.yaml': triggerWith('  subscriber: { uri: here }') });
  const { code, out } = await run([directory], { output: 'json' });
  t.equal(code, 1);
  t.strictSame(JSON.parse(out), {
    problems: [
      {
        severity: 'error',
        file: join(directory, 'a.yaml'),
        line: 5,
        column: 22,
        field: 'spec.subscriber.uri',
        message: 'must be an absolute http or https URL, found "here"; write http://here',
      },
    ],
    files: 1,
    triggers: 0,
    brokers: 0,
    errors: 1,
    warnings: 0,
  });
});

t.test('what can not be checked is an error of its own', async (t) => {
  const directory = t.testdir({ 'README.md': '' });
  await t.rejects(run([]), {
    code: 'USAGE',
    message: 'which manifests? Name a file or a directory: posthorn check DIR',
  });
  await t.rejects(run([directory], { output: 'yaml' }), {
    code: 'USAGE',
    message: '-o yaml is not known here; there is -o json',
  });
  await t.rejects(run([directory]), { message: `no *.yaml, *.yml or *.json in ${directory} or below it` });
  await t.rejects(run([join(directory, 'gone')]), { message: /gone can't be read: ENOENT/ });
});
