import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { request } from 'undici';
import { posthorn } from '../support/cli.ts';
import { embeddedUnderTest } from '../support/logs.ts';
import { startSink } from '../support/sink.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const bin = fileURLToPath(new URL('../../bin/posthorn.js', import.meta.url));

/** As an error within Posthorn that nobody has foreseen. */
const crashOnSignal = `data:text/javascript,${encodeURIComponent(
  "process.on('SIGUSR2', () => setImmediate(() => { throw new Error('a crash'); }));",
)}`;

t.test('no secret is printed: log lines, refusals, posthorn get, /metrics, a crash', async (t) => {
  const [signing, plain, variable] = [
    `whsec_${Buffer.alloc(32, 0x5e).toString('base64')}`,
    'hunter2-hunter2',
    'correct-horse-battery',
  ];
  const secrets = [signing, signing.slice(6), plain, variable];
  const sink = await startSink(() => ({ status: 503 }));
  t.teardown(() => sink.close());
  const log = await embeddedUnderTest(t);
  const folder = t.testdir({
    secrets: { orders: `${signing}\n`, github: `${plain}\n` },
    'webhooks.yaml': `webhooks:
  - { path: /github, provider: github, secret: github }
  - { path: /stripe, provider: stripe, secret: from-env }
`,
  });
  const flags = ['--port', '0', '--admin-port', '0', '--log-level', 'trace', '--log-format', 'json', ...log.args];
  const files = ['--secrets', `${folder}/secrets`, '--webhooks', `${folder}/webhooks.yaml`];
  const node = ['-u', 'NODE_OPTIONS', process.execPath, '--import', crashOnSignal, bin];
  const child = spawn('env', [...node, 'serve', ...flags, ...files], {
    env: { ...process.env, POSTHORN_SECRET_FROM_ENV: variable },
  });
  t.teardown(() => child.kill('SIGKILL'));
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  }
  const line = () => printed.split('\n').find((text) => text.includes('Posthorn is running'));
  await until(() => line() !== undefined, 'it runs', 60_000);
  const { ingress, admin } = JSON.parse(line() ?? '') as Record<'ingress' | 'admin', string>;
  await until(async () => (await fetch(`${admin}/readyz`)).ok, 'it is ready');

  const annotated = (name: string) => ({ annotations: { 'posthorn.dev/sign-with': name } });
  await applyTo(admin, triggerYaml('signed', sink.url, annotated('orders')));
  // A secret that is there and of no use, and one that is not there.
  await applyTo(admin, triggerYaml('useless', sink.url, annotated('github')));
  await applyTo(admin, triggerYaml('missing', sink.url, annotated('none')));
  const answers: string[] = [];
  const send = async (path: string, headers: Record<string, string>) => {
    const answer = await request(ingress + path, { method: 'POST', headers, body: '{"specversion":"1.0","id":"1"}' });
    answers.push(await answer.body.text());
    return answer.statusCode;
  };
  const event = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/tests', 'ce-type': 'test' };
  t.equal(await send('/', event), 202);
  t.equal(await send('/github', { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` }), 401);
  t.equal(await send('/stripe', { 'stripe-signature': `t=${Math.floor(Date.now() / 1_000)},v1=00` }), 401);
  await until(() => sink.requests.length > 0 && printed.includes('attempt failed'), 'a delivery has failed');
  t.match(printed, 'there is no secret none');
  t.match(printed, "the secret github can't be used");

  const shown: string[] = [await (await fetch(`${admin}/metrics`)).text()];
  for (const args of [
    ['get', 'triggers', '-o', 'yaml'],
    ['get', 'trigger', 'signed', '-o', 'json'],
    ['get', 'brokers', '-o', 'yaml'],
  ]) {
    const { code, stdout, stderr } = await posthorn([...args, '--server', admin]);
    t.equal(code, 0, args.join(' '));
    shown.push(stdout, stderr);
  }
  t.match(shown.join('\n'), 'posthorn.dev/sign-with: orders', 'the name is shown');

  child.kill('SIGUSR2');
  await once(child, 'close');
  t.match(printed, 'a crash', 'it has crashed');
  for (const [index, secret] of secrets.entries()) {
    for (const [what, text] of Object.entries({ printed, answers: answers.join('\n'), shown: shown.join('\n') })) {
      t.notOk(text.includes(secret), `secret ${index} is not among what is ${what}`);
    }
  }
});

t.test('what is wrong with the secrets is told before anything runs, and shows none', async (t) => {
  const folder = t.testdir({ secrets: { github: 'hunter2\nhunter3\nhunter4\n' } });
  const { code, stderr, stdout } = await posthorn(['serve', '--secrets', `${folder}/secrets`]);
  t.not(code, 0);
  t.match(stderr, 'github: must hold one line');
  t.notMatch(stdout + stderr, 'hunter');
});
