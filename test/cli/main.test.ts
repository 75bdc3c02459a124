import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import t from 'tap';
import { commandHelp } from '../../cli/help.ts';
import { parseOptions } from '../../cli/options.ts';
import { posthorn } from '../support/cli.ts';

const root = join(import.meta.dirname, '../..');
const bin = join(root, 'bin/posthorn.js');
const exec = promisify(execFile);
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

t.test('--version is that of the package', async (t) => {
  t.strictSame(await posthorn(['--version']), { code: 0, stdout: `posthorn ${version}\n`, stderr: '' });
});

t.test(
  'what was compiled is kept below the cache directory of the user, and where there is none it starts as well',
  async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'posthorn-home-'));
    t.teardown(() => rmSync(home, { recursive: true, force: true }));
    const { NODE_COMPILE_CACHE: _ours, XDG_CACHE_HOME: _theirs, ...rest } = process.env;
    const run = (env: Record<string, string>) =>
      exec(process.execPath, [bin, '--version'], { cwd: home, env: { ...rest, ...env } });
    const said = { stdout: `posthorn ${version}\n`, stderr: '' };
    t.match(await run({ HOME: '' }), said);
    t.match(await run({ HOME: join(home, 'none') }), said);
    t.strictSame(readdirSync(home), []);
    t.match(await run({ HOME: '', XDG_CACHE_HOME: 'relative' }), said);
    t.strictSame(readdirSync(home), [], 'nor below whatever directory it is started in');
    const others = join(home, 'others');
    mkdirSync(others);
    // Only root can make it another's. Anyone else is started in the home of root.
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(others, 65_534, 65_534);
    t.match(await run({ HOME: isRoot ? others : '/' }), said);
    t.strictSame(readdirSync(others), [], "nor in another's home, who could leave code there");
    t.match(await run({ HOME: home }), said);
    t.ok(globSync('.cache/posthorn/*/*', { cwd: home }).length > 0, 'below ~/.cache');
    t.match(await run({ HOME: home, XDG_CACHE_HOME: join(home, 'xdg') }), said);
    t.ok(globSync('xdg/posthorn/*/*', { cwd: home }).length > 0, 'where XDG_CACHE_HOME says');
  },
);

t.test('help lists the commands, and without a command it is an error', async (t) => {
  const help = await posthorn(['help']);
  t.equal(help.code, 0);
  for (const command of ['serve', 'send', 'apply', 'get', 'delete', 'check', 'match', 'test', 'try', 'help']) {
    t.match(help.stdout, new RegExp(`^  ${command} +[A-Z]`, 'm'), command);
  }
  t.match(help.stdout, /Exit codes:\n {2}0 {2}done/);
  t.strictSame(await posthorn(['--help']), help);
  t.strictSame(await posthorn([]), { code: 2, stdout: '', stderr: help.stdout });
});

t.test('the help of each command shows its usage, every option, examples and exit codes', async (t) => {
  for (const command of ['serve', 'send', 'apply', 'get', 'delete', 'check', 'match', 'test', 'try']) {
    const { code, stdout } = await posthorn(['help', command]);
    t.equal(code, 0);
    t.match(stdout, `Usage: posthorn ${command} `);
    t.match(stdout, /\nExamples:\n {2}\S*.*posthorn /, `${command}: an example`);
    t.match(stdout, '\nExit codes:\n');
    t.match(stdout, '-h, --help');
    for (const line of stdout.split('\n').filter((one) => !/^\s+\S+$/.test(one) && !one.startsWith('Usage'))) {
      t.ok(line.length <= 100 || line.includes('posthorn '), `${command}: fits a terminal: ${line}`);
    }
    t.strictSame(await posthorn([command, '--help']), { code: 0, stdout, stderr: '' });
    t.strictSame(await posthorn([command, '-h']), { code: 0, stdout, stderr: '' });
  }
});

t.test('what is mistyped is refused with exit code 2 and the nearest name', async (t) => {
  const refusals: [string[], string][] = [
    [['sned'], 'posthorn: unknown command sned; did you mean send?\nposthorn help shows what is right\n'],
    [['help', 'chekc'], 'posthorn: unknown command chekc; did you mean check?\nposthorn help shows what is right\n'],
    [
      ['toString'],
      'posthorn: unknown command toString; there are serve, send, apply, get, delete, check, schemas, match, test, try, help\nposthorn help shows what is right\n',
    ],
    [
      ['--port'],
      'posthorn: unknown option --port; options stand after the command\nposthorn help shows what is right\n',
    ],
    [
      ['send', '--tpye', 'x'],
      'posthorn: unknown option --tpye; did you mean --type?\nposthorn help send shows what is right\n',
    ],
    [['send', '-q'], 'posthorn: unknown option -q\nposthorn help send shows what is right\n'],
    [['send', '--type'], 'posthorn: --type needs a value: --type TYPE\nposthorn help send shows what is right\n'],
  ];
  for (const [args, stderr] of refusals)
    t.strictSame(await posthorn(args), { code: 2, stdout: '', stderr }, args.join(' '));
});

t.test('options are read strictly', async (t) => {
  const known = [
    { name: 'file', short: 'f', value: 'FILE', multiple: true, help: '' },
    { name: 'rate', value: 'N', help: '' },
    { name: 'prune', help: '' },
  ];
  t.strictSame(
    parseOptions(known, ['-f', 'a', 'x', '--file=b', '-fc', '--prune', '--rate', '1', '--rate=2', '--', '--y']),
    {
      options: { file: ['a', 'b', 'c'], prune: true, rate: '2' },
      positionals: ['x', '--y'],
    },
  );
  t.strictSame(parseOptions(known, ['-f', '-']).options, { file: ['-'] }, '- is a value');
  t.strictSame(parseOptions(known, ['--rate=-1', '--file=']).options, { rate: '-1', file: [''] });
  t.throws(() => parseOptions(known, ['--prune=yes']), {
    message: '--prune is a switch and takes no value, but got yes',
  });
  t.throws(() => parseOptions(known, ['--rate', '--prune']), {
    message: '--rate needs a value; if --prune is meant to be it, write --rate=--prune',
  });
});

t.test('long texts of the help are broken at spaces, below their column', async (t) => {
  const help = commandHelp({
    name: 'x',
    summary: 'Does x',
    usage: '',
    options: [{ name: 'long', short: 'l', value: 'VALUE', help: 'word '.repeat(40).trim() }],
    examples: [],
    run: async () => 0,
  });
  const lines = help.split('\n').filter((line) => line.includes('word'));
  t.equal(lines.length, 3);
  for (const line of lines) t.equal(line.indexOf('word'), '  -l, --long VALUE  '.length);
});

t.test('an error that no user can mend is called a bug, and shows its stack only where asked', async (t) => {
  const broken = {
    on() {},
    [Symbol.asyncIterator]: () => {
      throw new TypeError('x is undefined');
    },
  };
  const stdin = broken as unknown as NodeJS.ReadableStream;
  const args = ['send', '--type', 'a', '--data', '-'];
  const plain = await posthorn(args, { stdin });
  t.equal(plain.code, 1);
  t.equal(plain.stderr, 'posthorn: x is undefined\nthis is a bug in Posthorn; with POSTHORN_DEBUG=1 it shows where\n');
  const debug = await posthorn(args, { stdin, env: { POSTHORN_DEBUG: '1' } });
  t.match(debug.stderr, /TypeError: x is undefined\n {4}at /);
});

t.test('the command runs from its bin, with the exit code of what it did', async (t) => {
  const { stdout } = await exec(process.execPath, [bin, '--version']);
  t.equal(stdout, `posthorn ${version}\n`);
  await t.rejects(exec(process.execPath, [bin, 'sned']), { code: 2, stderr: /^posthorn: unknown command sned/ });
});

t.test('a shell starts it with an option of Node that bounds its memory, also through a link', async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'posthorn-link-'));
  t.teardown(() => rmSync(home, { recursive: true, force: true }));
  const link = join(home, 'a link');
  symlinkSync(bin, link);
  const tell = 'data:text/javascript,console.error(...process.execArgv)';
  const env = {
    ...process.env,
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    NODE_OPTIONS: `--import=${tell}`,
  };
  for (const command of [bin, link]) {
    t.strictSame(await exec(command, ['--version'], { env }), {
      stdout: `posthorn ${version}\n`,
      stderr: '--max-semi-space-size=16\n',
    });
  }
  await t.rejects(exec(link, ['a  b'], { env }), { code: 2, stderr: /unknown command a {2}b/ });
});

t.test('a reader that has seen enough is no error', async (t) => {
  const child = spawn(process.execPath, [bin, 'help', 'send']);
  child.stdout.destroy();
  const [[code], stderr] = await Promise.all([once(child, 'exit'), text(child.stderr)]);
  t.equal(stderr, '');
  t.equal(code, 0);
});

t.test('serve refuses an argument that is no option, and says what was meant', async (t) => {
  const { code, stderr } = await posthorn(['serve', 'triggers']);
  t.equal(code, 2);
  t.match(stderr, 'serve takes no triggers; a directory of triggers: --triggers triggers');
});

t.test('help of help is the overview', async (t) => {
  const { code, stdout } = await posthorn(['help', 'help']);
  t.equal(code, 0);
  t.match(stdout, 'Commands:');
});
