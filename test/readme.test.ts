import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { claimPorts } from '../examples/lib/ports.ts';
import { copyOfCheckout } from './examples/checkout.ts';
import {
  atTerminal,
  compileGoHandler,
  outsideTap,
  shellEnvironment,
  slowMs,
  type Terminal,
} from './examples/terminal.ts';
import { kafkaBrokers } from './support/kafka.ts';
import { until } from './support/until.ts';

/** The README is run as it stands, in a copy of the checkout; only ports and Kafka's address are others. */

const root = path.resolve(import.meta.dirname, '..');
const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
const greeting = /^com\.example\.greeting 1 Hello$/m;

interface Block {
  readonly language: string;
  readonly text: string;
}

const blocks = [...readme.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(
  ([, language = '', text = '']): Block => ({ language, text: text.trimEnd() }),
);

/** The command blocks by what they are; a block that is none of these is not tested and so fails the first test. */
const commands = {
  quickstart: 'npm ci && npm start',
  handler: 'node hello.mjs',
  serve: 'npx posthorn serve --triggers triggers',
  send: 'curl ',
  get: 'npx posthorn get triggers',
  enrichment: 'npm run page-change',
  kafka: 'npx posthorn serve --kafka localhost:9092 --triggers triggers',
  test: 'npm test',
} as const;

function command(name: keyof typeof commands): string {
  return blocks.find(({ language, text }) => language === 'sh' && text.startsWith(commands[name]))?.text ?? '';
}

await compileGoHandler(t);

t.test('each command of the README is run by a test', async (t) => {
  const shown = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text);
  const known = Object.keys(commands).map((name) => command(name as keyof typeof commands));
  t.strictSame(shown.toSorted(), known.toSorted());
  t.strictSame(
    blocks.filter(({ language }) => !['sh', 'js', 'yaml'].includes(language)),
    [],
    'each block names its language',
  );
});

t.test('the two commands bring up the quickstart', async (t) => {
  const clone = copyOfCheckout(t);
  const terminal = atTerminal(t, ['sh', '-c', withDryCi(t, command('quickstart'))], {
    cwd: clone,
    env: { POSTHORN_PORT: '0', POSTHORN_ADMIN_PORT: '0', SERVICE_PORT: '0' },
  });
  for (const writer of ['Node', 'Python', 'PHP', 'Go']) {
    await terminal.see(new RegExp(`^${writer} .*com\\.github\\.`, 'm'), slowMs);
  }
  terminal.ctrlC();
  await terminal.exited;
  t.strictSame(terminal.leftovers(), []);
});

t.test('the trigger and the handler of the README get the event of its curl', async (t) => {
  const clone = await cloneWithExample(t);
  const handler = clone.start('handler');
  const server = clone.start('serve');
  await clone.ready();
  t.match(await clone.send(), /^HTTP\/1\.1 202 /);
  await handler.see(greeting);
  t.match(await clone.run('get'), /^.*\bhello\b/m);
  await stop(t, server, handler);
});

t.test('the same on Kafka', async (t) => {
  const clone = await cloneWithExample(t, await kafkaBrokers());
  const handler = clone.start('handler');
  const server = clone.start('kafka');
  await clone.ready();
  t.match(await clone.send(), /^HTTP\/1\.1 202 /);
  await handler.see(greeting);
  await stop(t, server, handler);
});

t.test('the enrichment example runs', async (t) => {
  const clone = copyOfCheckout(t);
  const terminal = atTerminal(t, ['sh', '-c', command('enrichment')], {
    cwd: clone,
    env: { POSTHORN_PORT: '0', POSTHORN_ADMIN_PORT: '0', SERVICE_PORT: '0' },
  });
  await terminal.see(/^show .* by Ada: /m, 60_000);
  await stop(t, terminal);
});

t.test('the test command is there, and the tree is as the README draws it', async (t) => {
  const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  t.equal(scripts.test, 'node test/run.ts', 'what npm test runs, and this test with it');
  const folders = [...readme.matchAll(/^\| `(\w+)\/` \|/gm)].map(([, folder = '']) => folder);
  t.ok(folders.length > 8, 'the map is found');
  const kept = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .filter((name) => !['node_modules', 'dist', 'coverage'].includes(name));
  t.strictSame(folders.toSorted(), kept.toSorted());
  for (const [, target = ''] of readme.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
    t.ok(existsSync(path.join(root, target)), `${target} is there`);
  }
});

interface Clone {
  start(name: keyof typeof commands): Terminal;
  run(name: keyof typeof commands): Promise<string>;
  send(): Promise<string>;
  ready(): Promise<void>;
}

/** A copy of the checkout with the files that the README shows, and its commands on ports of their own. */
async function cloneWithExample(t: Test, kafka = ['localhost:9092']): Promise<Clone> {
  const folder = copyOfCheckout(t);
  const wish = { owner: 'README', port: 0, choice: '' };
  const [port = 0, adminPort = 0, handlerPort = 0] = await claimPorts([wish, wish, wish]);
  const here = (text: string): string =>
    text
      .replaceAll(/(localhost:|listen\()8080\b/g, `$1${port}`)
      .replaceAll(/(localhost:|listen\()3000\b/g, `$1${handlerPort}`)
      .replaceAll('localhost:9092', kafka.join());
  for (const { language, text } of blocks) {
    const [, file] = /^(?:#|\/\/) (\S+)\n/.exec(text) ?? [];
    if (language === 'sh' || file === undefined) continue;
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), here(text));
  }
  const admin = `http://127.0.0.1:${adminPort}`;
  const serveEnv = {
    POSTHORN_PORT: String(port),
    POSTHORN_ADMIN_PORT: String(adminPort),
    POSTHORN_PREFIX: `readme-${port}`,
  };
  const shell = async (text: string): Promise<string> => {
    const env = { ...shellEnvironment(), POSTHORN_SERVER: admin };
    const [program, ...args] = outsideTap('sh', '-c', here(text));
    const { stdout } = await promisify(execFile)(program, args, { cwd: folder, env });
    return stdout;
  };
  return {
    start: (name) => atTerminal(t, ['sh', '-c', here(command(name))], { cwd: folder, env: serveEnv }),
    run: (name) => shell(command(name)),
    send: () => shell(command('send')),
    async ready() {
      const isReady = (): Promise<boolean> =>
        fetch(`${admin}/readyz`).then(
          ({ ok }) => ok,
          () => false,
        );
      await until(isReady, 'posthorn serve is ready', 60_000);
    },
  };
}

/** The packages are there already, so `npm ci` only checks that package.json and the lockfile agree. */
function withDryCi(t: Test, text: string): string {
  t.match(text, /^npm ci && /);
  return text.replace('npm ci', 'npm ci --dry-run');
}

async function stop(t: Test, ...terminals: readonly Terminal[]): Promise<void> {
  for (const terminal of terminals) {
    terminal.ctrlC();
    await terminal.exited;
    t.strictSame(terminal.leftovers(), []);
  }
}
