import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import t from 'tap';
import { startSink } from '../support/sink.ts';
import { until } from '../support/until.ts';

/** What is published is packed, installed elsewhere and run there: Node refuses TypeScript under node_modules. */

const root = join(import.meta.dirname, '../..');
const exec = promisify(execFile);

/**
 * npm and what it starts run under the Node that runs this test, but not with the modules that the test runner loads
 * into every process: it puts NODE_OPTIONS into the environment itself, so that only `env` can take it away.
 */
const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}` };
const outside = ['-u', 'NODE_OPTIONS'];

/** Shows an older version than the real one to whoever asks, the bin included. */
const oldNode = `data:text/javascript,Object.defineProperty(process.versions, 'node', { value: '18.19.0' })`;

t.test('the package, installed elsewhere', async (t) => {
  const scratch = await mkdtemp(join(tmpdir(), 'posthorn-package-'));
  t.teardown(() => rm(scratch, { recursive: true, force: true }));
  await exec('env', [...outside, 'npm', 'pack', '--pack-destination', scratch], { cwd: root, env });
  const [tarball = ''] = await readdir(scratch);
  await writeFile(join(scratch, 'package.json'), JSON.stringify({ name: 'elsewhere', private: true }));
  await exec('env', [...outside, 'npm', 'install', '--omit=dev', '--no-audit', '--no-fund', join(scratch, tarball)], {
    cwd: scratch,
    env,
  });
  const installed = join(scratch, 'node_modules/posthorn');
  const { version } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
  const command = join(scratch, 'node_modules/.bin/posthorn');
  const posthorn = (...args: string[]) =>
    exec('env', [...outside, process.execPath, command, ...args], { cwd: scratch, env });

  t.test('holds what is needed and no more', async (t) => {
    const files = (await readdir(installed, { recursive: true })).filter((file) => !file.includes('node_modules'));
    for (const file of [
      'LICENSE',
      'README.md',
      'bin/posthorn.js',
      'dist/cli/main.js',
      'docs/errors.md',
      'docs/cesql.md',
    ]) {
      t.ok(files.includes(file), file);
    }
    const sources = files.filter((file) => /(?<!\.d)\.ts$/.test(file) || /(^|\/)test(\/|$)/.test(file));
    t.strictSame(sources, [], 'no sources and no tests');
    t.ok((await stat(command)).mode & 0o100, 'the command can be executed');
  });

  t.test('shows its version and the help of every command', async (t) => {
    t.equal((await posthorn('--version')).stdout, `posthorn ${version}\n`);
    const { stdout } = await posthorn('help');
    const commands = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name = '']) => name);
    t.ok(commands.length >= 6, 'the commands are listed');
    for (const name of commands.filter((one) => one !== 'help')) {
      t.match((await posthorn('help', name)).stdout, `Usage: posthorn ${name}`);
    }
  });

  t.test('exports CESQL, with its types', async (t) => {
    await writeFile(join(scratch, 'cesql.ts'), consumer);
    const run = [...outside, process.execPath, join(scratch, 'cesql.ts')];
    t.equal((await exec('env', run, { cwd: scratch, env })).stdout, 'true\nCesqlSyntaxError\n');
    const tsc = join(root, 'node_modules/.bin/tsc');
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--skipLibCheck', 'false', '--types', ''];
    await t.resolves(exec('env', [...outside, tsc, ...options, 'cesql.ts'], { cwd: scratch, env }));
    await writeFile(join(scratch, 'wrong.ts'), `import { compile } from 'posthorn/cesql';\ncompile(5);\n`);
    await t.rejects(exec('env', [...outside, tsc, ...options, 'wrong.ts'], { cwd: scratch, env }), {
      code: 1,
      stdout: /wrong\.ts\(2,9\): error TS2345/,
    });
  });

  t.test('checks a manifest, and sends an event', async (t) => {
    await writeFile(join(scratch, 'trigger.yaml'), manifest('http://127.0.0.1:9'));
    await t.resolves(posthorn('check', 'trigger.yaml'));
    const sink = await startSink(() => ({ status: 202 }));
    t.teardown(() => sink.close());
    t.match((await posthorn('send', '--url', sink.url, '--type', 'a')).stdout, /^1 event accepted/);
    t.equal(sink.requests.length, 1);
  });

  t.test('serves: an event goes in, the subscriber of a trigger gets it, SIGTERM ends it cleanly', async (t) => {
    const sink = await startSink();
    t.teardown(() => sink.close());
    const triggers = t.testdir({ 'trigger.yaml': manifest(sink.url) });
    const serve = spawn(
      'env',
      [
        ...outside,
        process.execPath,
        command,
        'serve',
        '--port',
        '0',
        '--admin-port',
        '0',
        '--data',
        join(scratch, 'data'),
        '--triggers',
        triggers,
      ],
      { cwd: scratch, env, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    t.teardown(() => serve.kill('SIGKILL'));
    const url = await ingressUrl(serve);
    await posthorn('send', '--url', url, '--type', 'com.example.a', '--data', '{"n":1}');
    await until(() => sink.requests.length > 0, 'the event arrives');
    t.match(sink.requests[0], { headers: { 'ce-type': 'com.example.a' }, body: Buffer.from('{"n":1}') });
    const exited = once(serve, 'exit');
    serve.kill('SIGTERM');
    t.strictSame(await exited, [0, null]);
  });

  t.test('says plainly that a Node is too old', async (t) => {
    await t.rejects(
      exec('env', [...outside, process.execPath, '--import', oldNode, command, '--version'], { cwd: scratch, env }),
      {
        code: 1,
        stdout: '',
        stderr: /^posthorn: Node 24 or newer is needed, and this is v\d+\.\d+\.\d+: https:\/\/nodejs\.org\/\S+\n$/,
      },
    );
  });
});

t.test(
  'a checkout that an old Node runs takes the Node it has installed, and passes signals and exit codes on',
  async (t) => {
    const bin = join(root, 'bin/posthorn.js');
    const old = ['--import', oldNode, bin];
    t.match((await exec(process.execPath, [...old, '--version'], { env })).stdout, /^posthorn \d/);
    await t.rejects(exec(process.execPath, [...old, 'sned'], { env }), { code: 2 });

    const sink = await startSink(() => ({ status: 202 }));
    t.teardown(() => sink.close());
    const sending = spawn(process.execPath, [...old, 'send', '--url', sink.url, '--file', '-'], { env });
    sending.stdin.write('{"n":1}\n');
    await until(() => sink.requests.length === 1, 'it sends');
    const [[code], stderr] = await Promise.all([
      once(sending, 'exit'),
      text(sending.stderr),
      Promise.resolve(sending.kill('SIGTERM')),
    ]);
    t.equal(code, 1);
    t.match(stderr, 'interrupted by SIGTERM');
  },
);

const consumer = `import { type CesqlResult, CesqlSyntaxError, compile } from 'posthorn/cesql';

const result: CesqlResult = compile("type = 'a'").evaluate({ type: 'a' });
const lines: unknown[] = [result.value];
try {
  compile('type =');
} catch (error) {
  if (error instanceof CesqlSyntaxError) lines.push(error.name);
}
declare const console: { log(line: string): void };
console.log(lines.join('\\n'));
`;

function manifest(uri: string): string {
  return `apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: all
spec:
  broker: default
  subscriber:
    uri: ${uri}
`;
}

/** Reads the log lines until one says where events are accepted. */
async function ingressUrl(serve: ChildProcess): Promise<string> {
  let output = '';
  serve.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  let url: string | undefined;
  await until(
    () => {
      if (serve.exitCode !== null) throw new Error(`serve ended with ${serve.exitCode}:\n${output}`);
      url = /"ingress":"(http:[^"]+)"/.exec(output)?.[1];
      return url !== undefined;
    },
    'serve says where it listens',
    30_000,
  );
  return url ?? '';
}
