import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { serveConfig } from '../../runtime/config-serve.ts';
import { copyOfCheckout } from '../examples/checkout.ts';
import { nodeOptions } from '../support/node-options.ts';
import { run, serves } from './process.ts';

const folder = path.resolve(import.meta.dirname, '../../deploy');
const unit = readFileSync(path.join(folder, 'posthorn.service'), 'utf8');

/** The values of a setting, in their order. */
function values(name: string): string[] {
  return [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}

function environment(): Record<string, string> {
  const pairs = values('Environment').flatMap((line) => line.split(' '));
  return Object.fromEntries(pairs.map((pair) => [pair.split('=')[0] ?? '', pair.slice(pair.indexOf('=') + 1)]));
}

t.test('the unit lets Posthorn drain, starts it again after a failure, and shuts it in', async (t) => {
  const config = await serveConfig({}, environment());
  t.equal(config.triggers, '/etc/posthorn/triggers');
  t.strictSame(config.log, { kind: 'embedded', directory: `/var/lib/${values('StateDirectory')[0]}` });
  t.strictSame(values('KillSignal'), ['SIGTERM']);
  t.ok(Number.parseInt(values('TimeoutStopSec')[0] ?? '', 10) * 1_000 > config.shutdownTimeoutMs);
  t.strictSame(values('Restart'), ['on-failure']);
  for (const setting of ['DynamicUser=yes', 'NoNewPrivileges=yes', 'ProtectSystem=strict', 'CapabilityBoundingSet=']) {
    t.match(unit, new RegExp(`^${setting}$`, 'm'));
  }
  t.notMatch(unit, /^MemoryDenyWriteExecute=yes/m, 'Node compiles as it runs');
});

t.test('systemd finds no fault in the unit', async (t) => {
  const scratch = mkdtempSync(path.join(tmpdir(), 'posthorn-unit-'));
  t.teardown(() => rmSync(scratch, { recursive: true, force: true }));
  const file = path.join(scratch, 'posthorn.service');
  // The program of the unit must exist where it is verified.
  writeFileSync(file, unit.replace('ExecStart=/usr/bin/node', `ExecStart=${process.execPath}`));
  if (!existsSync('/usr/bin/systemd-analyze')) {
    t.comment('this machine has no systemd, which alone can tell');
    return;
  }
  const { stdout, stderr } = await promisify(execFile)('systemd-analyze', ['verify', file]);
  t.equal(`${stdout}${stderr}`, '');
});

t.test('the steps of deploy/README.md, followed in a folder, bring up what the unit starts', async (t) => {
  const checkout = copyOfCheckout(t);
  const readme = readFileSync(path.join(folder, 'README.md'), 'utf8');
  const steps = [...readme.matchAll(/^ {4}(npm ci && (npm pack)|sudo (npm install .*))$/gm)];
  const [pack = '', install = ''] = steps.map(([, , first, second]) => first ?? second);
  t.equal(values('ExecStart').length, 1);
  await run(pack, checkout);
  t.equal(readdirSync(checkout).filter((file) => file.endsWith('.tgz')).length, 1);
  const prefix = path.join(checkout, 'opt');
  await run(install.replace('/opt/posthorn', prefix), checkout);

  const [program = '', ...words] = (values('ExecStart')[0] ?? '').split(' ');
  const options = words.splice(0, nodeOptions.length);
  t.strictSame(options, nodeOptions, 'as the command starts itself');
  const [command = '', ...rest] = words;
  t.equal(program, '/usr/bin/node', 'Node is the process that gets the signals');
  const installed = command.replace('/opt/posthorn', prefix);
  const data = path.join(checkout, 'data');
  const env = { POSTHORN_DATA: data, POSTHORN_PORT: '0', POSTHORN_ADMIN_PORT: '0' };
  await serves(t, [process.execPath, ...options, installed, ...rest], env, checkout, async () => {
    t.ok(existsSync(data), 'the log is where the unit says');
  });
});
