import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

/** What a user reads whose `posthorn serve` was not meant like that. */

const bin = fileURLToPath(new URL('../../bin/posthorn.js', import.meta.url));

/** Longer than any start takes here; what hangs is killed then, and its code is null. */
const hangsMs = 60_000;

/** `posthorn serve` on free ports and a log of its own, unless `args` say otherwise, up to its end. */
async function serveFails(t: Test, args: readonly string[], env: Record<string, string> = {}) {
  const directory = await temporary(t);
  const all = [bin, 'serve', '--port', '0', '--admin-port', '0', '--data', join(directory, 'log'), ...args];
  const options = { timeout: hangsMs, killSignal: 'SIGKILL', env: { ...process.env, ...env } } as const;
  return new Promise<{ code: unknown; stderr: string }>((resolve) => {
    execFile(process.execPath, all, options, (error, _stdout, stderr) => resolve({ code: error?.code ?? 0, stderr }));
  });
}

async function temporary(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'posthorn-test-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

t.test('a --data that no directory can be made of ends the start at once, and says why', async (t) => {
  const directory = await temporary(t);
  const file = join(directory, 'file');
  await writeFile(file, '');
  const right = 'name a directory that can be written, it is made if it is missing';
  const problems: [string, string][] = [
    // The kernel answers ENOENT to a new directory there, for which Node's own recursive mkdir tries for ever.
    ['/proc/posthorn', '/proc lets no directory be made in it (ENOENT)'],
    ['/proc/posthorn/below', '/proc lets no directory be made in it (ENOENT)'],
    [file, 'it is not a directory (ENOTDIR)'],
    [join(file, 'below'), `${file} is not a directory, so none can be made in it (ENOTDIR)`],
  ];
  for (const [data, problem] of problems) {
    t.strictSame(await serveFails(t, ['--data', data]), {
      code: 1,
      stderr: `posthorn: --data ${data}: ${problem}; ${right}\n`,
    });
  }
});

t.test('a host that is not of this machine is told by the name of its option', async (t) => {
  for (const option of ['--host', '--admin-host']) {
    const named = await serveFails(t, [option, 'posthorn.invalid']);
    t.equal(named.code, 1);
    t.match(
      named.stderr,
      new RegExp(`^posthorn: ${option} posthorn\\.invalid: .*name.* \\((ENOTFOUND|EAI_AGAIN)\\); `),
    );
    const foreign = await serveFails(t, [option, '192.0.2.1']);
    t.equal(foreign.code, 1);
    const right = /name one of this machine's \(127\.0\.0\.1, .*\), or 0\.0\.0\.0 or :: for all of them\n$/;
    t.match(foreign.stderr, `posthorn: ${option} 192.0.2.1: it is not an address of this machine (EADDRNOTAVAIL); `);
    t.match(foreign.stderr, right);
  }
});

t.test('a port that is in use is told by the name of its option', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const port = String((server.address() as AddressInfo).port);
  for (const option of ['--port', '--admin-port']) {
    t.strictSame(await serveFails(t, [option, port]), {
      code: 1,
      stderr: `posthorn: 127.0.0.1:${port} is in use by another process; choose another with ${option}, or 0 for any that is free\n`,
    });
  }
});

t.test('a configuration file that can not be read is told by the option or variable that names it', async (t) => {
  const directory = await temporary(t);
  const missing = join(directory, 'none.yaml');
  const right = 'name a YAML file of settings, as "port: 8080"\nposthorn help serve shows what is right\n';
  t.strictSame(await serveFails(t, ['--config', missing]), {
    code: 2,
    stderr: `posthorn: --config ${missing}: there is no such file (ENOENT); ${right}`,
  });
  t.strictSame(await serveFails(t, ['--config', directory]), {
    code: 2,
    stderr: `posthorn: --config ${directory}: it is a directory, not a file (EISDIR); ${right}`,
  });
  t.strictSame(await serveFails(t, [], { POSTHORN_CONFIG: missing }), {
    code: 2,
    stderr: `posthorn: POSTHORN_CONFIG ${missing}: there is no such file (ENOENT); ${right}`,
  });
});

t.test('the lines for a person: a --triggers that is wrong, then mended, and the end at a signal', async (t) => {
  const directory = await temporary(t);
  const triggers = join(directory, 'triggers');
  const data = join(directory, 'log');
  const args = ['--port', '0', '--admin-port', '0', '--data', data, '--triggers', triggers, '--log-format', 'text'];
  const child = spawn(process.execPath, [bin, 'serve', ...args, '--shutdown-timeout', '1m30s'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'close');
  t.teardown(() => child.kill('SIGKILL'));
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    shown += chunk;
  });
  await until(() => shown.includes('Posthorn is running'), 'it runs', 30_000);
  // Whole at once, so that nothing in between is seen.
  const [coming, mended] = [join(directory, 'coming'), join(directory, 'mended.yaml')];
  const manifest = triggerYaml('all', 'http://127.0.0.1:1/');
  await mkdir(coming);
  await writeFile(join(coming, 'all.yaml'), manifest.replace('broker: default', 'broker: nowhere'));
  await rename(coming, triggers);
  await until(() => shown.includes('nowhere'), 'the directory is found', 30_000);
  await writeFile(mended, manifest);
  await rename(mended, join(triggers, 'all.yaml'));
  await until(() => shown.includes('every file of'), 'the mended file is applied', 30_000);
  child.kill('SIGTERM');
  await exited;

  const lines = shown.trimEnd().split('\n');
  for (const line of lines) t.match(line, /^\d\d:\d\d:\d\d\.\d{3} (INFO|WARN|ERROR) +\S/, line);
  const [missing, running, refused, created, applied, stopping, stopped, ...more] = lines.map((line) => line.slice(19));
  t.equal(
    missing,
    `--triggers ${triggers}: there is no such directory (ENOENT); name a directory of .yaml, .yml or .json files. ` +
      'It is looked for again every 5 s; what came from it before stays in force',
  );
  t.match(running, /^Posthorn is running version=\S+ log=embedded data=\S+ ingress=http:\S+ admin=http:\S+$/);
  t.equal(
    refused,
    `${join(triggers, 'all.yaml')}:6:11: spec.broker: no broker default/nowhere; make it by applying a Broker of that ` +
      'name, before this trigger or together with it; nothing of this file is applied, what it held before stays in ' +
      'force; it is tried again every 5 s',
  );
  t.equal(created, `trigger default/all created directory=${triggers}`);
  t.equal(applied, `every file of ${triggers} is applied`);
  t.equal(
    stopping,
    'stopping at SIGTERM: no new events; what is in flight has up to 1m30s to end, a second signal ends Posthorn at once',
  );
  t.equal(stopped, 'stopped');
  t.strictSame(more, []);
});
