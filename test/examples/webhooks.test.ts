import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { createDeliverer } from '../../dispatcher/deliver.ts';
import { Signers } from '../../dispatcher/sign.ts';
import { claimPorts } from '../../examples/lib/ports.ts';
import { Processes } from '../../examples/lib/processes.ts';
import { githubEvents } from '../../examples/quickstart/github-webhooks.ts';
import { type Clock, systemClock } from '../../runtime/clock.ts';
import { Secret } from '../../runtime/secrets.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { until } from '../support/until.ts';
import { atTerminal, proposals, shell } from './terminal.ts';

const root = path.resolve(import.meta.dirname, '../..');
const secretOf = (name: string) => readFileSync(path.join(root, 'examples/webhooks/secrets', name), 'utf8').trim();

t.test('GitHub webhooks come in signed and go out signed, and are verified in Python', async (t) => {
  const data = temporaryFolder(t);
  const flags = ['--port', '0', '--admin-port', '0', '--service-port', '0', '--data', data, '--rate', '50'];
  const terminal = atTerminal(t, ['npm', 'run', 'webhooks', '--', ...flags], { cwd: root });
  await terminal.see('Press Ctrl-C to end.', 60_000);
  t.match(terminal.output(), /^40 events accepted, 0 refused\. Lines printed: verify \d+\.$/m);
  const wanted = [...githubEvents()].slice(0, 40).filter(({ name, payload }) => name === 'issues' && payload.action);
  const verified = () => terminal.linesOf('verify').filter((line) => line.includes('verified com.github.issues.'));
  await until(() => wanted.length > 0 && verified().length === wanted.length, 'every issue is verified');

  const [right = '', wrong = '', trigger = '', ...others] = proposals(terminal);
  t.strictSame(others, [], 'three commands are proposed');
  t.match(await shell(right), /^HTTP\/1\.1 202 /);
  await terminal.see(/^verify +verified com\.github\.issues\.opened: #1 "It works"$/m);
  t.match(await shell(wrong), /^HTTP\/1\.1 401 [\s\S]*its signature in x-hub-signature-256 is not right/);
  t.match(await shell(trigger), 'posthorn.dev/sign-with: subscriber');
  terminal.ctrlC();
  t.equal(await terminal.exited, 0);
  t.strictSame(terminal.leftovers(), [], 'no process is left');
  for (const name of ['github', 'subscriber']) t.notMatch(terminal.output(), secretOf(name), 'no secret is shown');
});

t.test('the handler takes what is signed with one of its secrets, once, and nothing else', async (t) => {
  const own = secretOf('subscriber');
  const other = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
  const file = path.join(temporaryFolder(t), 'secret');
  writeFileSync(file, `${other}\n${own}\n`);
  const handler = await startVerifier(t, file);
  const deliver = async (secret: string, id: string, attempt = 1, clock: Clock = systemClock) => {
    const signers = new Signers(new Map([['one', new Secret('one', [secret])]]));
    const deliverer = createDeliverer({ clock, responseBytesMax: 1_000, signers });
    const issue = Buffer.from('{"issue":{"number":1,"title":"ü"}}');
    const event = testEvent({ id, type: 'com.github.issues.opened', datacontenttype: 'application/json' }, issue);
    const trigger = testTrigger(handler.url, { signWith: 'one' });
    const outcome = await deliverer.attempt(testDelivery(trigger, event, { attempt }), handler.url, 1);
    await deliverer.close();
    return outcome.kind === 'answered' ? outcome.status : outcome.message;
  };
  t.equal(await deliver(own, '1'), 204);
  t.equal(await deliver(other, '2'), 204, 'the secret that replaces it');
  t.equal(await deliver(own, '1', 2), 204, 'a second delivery of the first');
  t.equal(await deliver(`whsec_${Buffer.alloc(32, 8).toString('base64')}`, '3'), 401, 'the secret of a stranger');
  const late: Clock = { ...systemClock, now: () => Date.now() - 301_000, setTimer: systemClock.setTimer };
  t.equal(await deliver(own, '4', 1, late), 401, 'a request that somebody has kept');
  const { status } = await fetch(handler.url, { method: 'POST', body: '{}' });
  t.equal(status, 401, 'no signature');
  await until(() => handler.lines.length === 2, 'what is verified is printed');
  t.strictSame(handler.lines, Array(2).fill('verified com.github.issues.opened: #1 "ü"'));
});

async function startVerifier(t: Test, secretFile: string): Promise<{ url: string; lines: string[] }> {
  const [port = 0] = await claimPorts([{ owner: 'verify.py', port: 0, choice: '' }]);
  const url = `http://127.0.0.1:${port}`;
  const lines: string[] = [];
  const processes = new Processes();
  t.teardown(() => processes.stop());
  processes.start({
    command: 'python3',
    args: [path.join(root, 'examples/webhooks/handlers/verify.py')],
    env: { ...process.env, PORT: String(port), SECRET_FILE: secretFile, PYTHONIOENCODING: 'utf-8' },
    stopSignal: 'SIGINT',
    onLine: (line) => void lines.push(line),
    onEnd: (how) => void lines.push(`ended: ${how}`),
  });
  const listens = () =>
    fetch(url).then(
      () => true,
      () => lines.some((line) => line.startsWith('ended')),
    );
  await until(listens, 'verify.py listens');
  return { url, lines };
}

function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'webhooks-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
