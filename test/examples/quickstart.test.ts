import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { type GithubEvent, githubEvents } from '../../examples/quickstart/github-webhooks.ts';
import { until } from '../support/until.ts';
import {
  atTerminal,
  compileGoHandler,
  type Mark,
  newMark,
  outsideTap,
  proposals,
  shell,
  shellEnvironment,
  slowMs,
  type Terminal,
} from './terminal.ts';

const root = path.resolve(import.meta.dirname, '../..');
/** Free ports; and the handler in Go is waited for. */
const anyPorts = ['--port', '0', '--admin-port', '0', '--service-port', '0', '--patience', '150'];

/** What the triggers of the quickstart say, in other words. */
const expected: Readonly<Record<string, (event: GithubEvent) => boolean>> = {
  Node: ({ name, payload }) => name === 'issues' && payload.action !== undefined,
  Python: ({ name, payload }) => name === 'pull_request' && payload.action === 'opened',
  PHP: ({ name, payload }) =>
    name === 'push' && payload.repository?.html_url === 'https://github.com/Codertocat/Hello-World',
  Go: ({ name }) => !/^(check_|workflow_|status$)/.test(name),
};

await compileGoHandler(t);

t.test(
  'npm start shows each handler its events, does what it proposes, and ends by Ctrl-C without a rest',
  async (t) => {
    const { data, temporary } = folders(t);
    const terminal = start(t, ['--data', data, '--rate', '50'], { TMPDIR: temporary });
    await terminal.see('Press Ctrl-C to end.', slowMs);
    t.match(
      terminal.output(),
      /^100 events accepted, 0 refused\. Lines printed: Node \d+, Python \d+, PHP \d+, Go \d+\.$/m,
    );
    const sent = [...githubEvents()].slice(0, 100);
    for (const [writer, passes] of Object.entries(expected)) {
      const count = sent.filter(passes).length;
      t.ok(count > 0, `${writer} gets at least one`);
      await until(() => events(terminal, writer).length >= count, `${writer} prints ${count} events`);
      t.equal(events(terminal, writer).length, count, `${writer} prints just its events`);
    }

    const commands = proposals(terminal);
    const [own = '', getTriggers = '', refused = '', deadLetters = ''] = commands;
    t.equal(commands.length, 4, 'four commands are proposed');
    t.match(await shell(own), /^HTTP\/1\.1 202 /);
    await terminal.see(/^Node .* com\.github\.issues\.opened: #1 "It works" \(open\)$/m);
    const triggers = await shell(getTriggers);
    for (const name of ['issues', 'pull-requests-opened', 'pushes-to-hello-world', 'everything-but-ci']) {
      t.match(triggers, new RegExp(`^.*\\b${name}\\b`, 'm'), `posthorn get triggers shows ${name}`);
    }

    const file = /in (\S+issues\.yaml) write/.exec(terminal.output())?.[1] ?? '';
    const before = events(terminal, 'Node').length;
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('com.github.issues.', 'com.github.issue_comment.'));
    const yaml = getTriggers.replace('get triggers', 'get trigger issues -o yaml');
    await until(async () => (await shell(yaml)).includes('issue_comment'), 'the change is applied', 30_000);
    t.match(await shell(own), /^HTTP\/1\.1 202 /);
    t.match(await shell(own.replace('issues.opened', 'issue_comment.created')), /^HTTP\/1\.1 202 /);
    await terminal.see(/^Node .* com\.github\.issue_comment\.created: /m);
    t.equal(events(terminal, 'Node').length, before + 1, 'Node prints no more of the issues');

    t.match(await shell(refused), /^HTTP\/1\.1 202 /);
    await until(async () => (await shell(deadLetters)).includes('pull-requests-opened'), 'the dead letter is shown');
    const lines = (await shell(deadLetters)).trimEnd().split('\n');
    t.equal(lines.length, 2, 'a headline and the dead letter');
    t.match(lines[1], /pull-requests-opened +1 +status 400 +2 +https:\/\/github\.com\/me\/mine /);
    await terminal.see(/^posthorn +warn: attempt failed: pull-requests-opened, status 400, now a dead letter$/m);

    terminal.ctrlC();
    t.equal(await terminal.exited, 0);
    t.strictSame(terminal.leftovers(), [], 'no process is left');
    t.strictSame(readdirSync(temporary), [], 'no temporary file is left');
    t.notMatch(terminal.output(), /^\s+at /m, 'no stack is shown');

    const proposed = /^ {3}npm start -- (.*)$/m.exec(terminal.output())?.[1] ?? '';
    t.equal(proposed, `--port 0 --admin-port 0 --service-port 0 --data ${data} --events 1000 --rate 100`);
    const again = start(t, [...proposed.split(' '), '--events', '5']);
    await again.see('5 events accepted, 0 refused.', slowMs);
    t.equal(events(again, 'Python').length, 1, 'a second run goes on with the data of the first');
    again.ctrlC();
    t.equal(await again.exited, 0);
  },
);

t.test('Ctrl-C ends it at any moment', async (t) => {
  const { data, temporary } = folders(t);
  const terminal = start(t, ['--data', data], { TMPDIR: temporary });
  await until(() => terminal.leftovers().some((line) => line.includes('handlers/')), 'a handler is started');
  terminal.ctrlC();
  t.equal(await terminal.exited, 0);
  t.strictSame(terminal.leftovers(), []);
  t.strictSame(readdirSync(temporary), []);
});

t.test('the Ctrl-C that npm passes on is none when all has ended', async (t) => {
  const atEnd = `process.once('beforeExit',()=>process.kill(process.pid,'SIGINT'))`;
  const example = path.join(root, 'examples/quickstart/start.ts');
  const args = ['-u', 'NODE_OPTIONS', process.execPath, `--import=data:text/javascript,${atEnd}`, example, '--help'];
  const child = spawn('env', args, { stdio: 'ignore' });
  t.strictSame(await once(child, 'exit'), [0, null]);
});

t.test('nothing is left when the terminal is closed', async (t) => {
  const { data } = folders(t);
  const terminal = start(t, ['--data', data]);
  await terminal.see(/^Node /m, slowMs);
  terminal.close();
  await until(() => terminal.leftovers().length === 0, 'all processes have ended');
});

for (const signal of ['SIGTERM', 'SIGHUP', 'SIGKILL'] as const) {
  t.test(`nothing is left when npm gets a ${signal}`, async (t) => {
    const { mark, npm, temporary } = await startWithoutTerminal(t);
    npm.kill(signal);
    await until(() => mark.running().length === 0, 'all processes have ended', 30_000);
    t.strictSame(readdirSync(temporary), [], 'no temporary file is left');
  });
}

t.test('nothing is left when the example itself is killed', async (t) => {
  const { mark, temporary } = await startWithoutTerminal(t);
  const example = mark.running().filter((line) => line.includes('examples/quickstart/start.ts'));
  t.equal(example.length, 1);
  process.kill(Number.parseInt(example[0] ?? '', 10), 'SIGKILL');
  await until(() => mark.running().length === 0, 'all processes have ended', 30_000);
  t.strictSame(readdirSync(temporary), [], 'no temporary file is left');
});

t.test('a second one on the same data says so and leaves the first alone', async (t) => {
  const { data } = folders(t);
  const first = start(t, ['--data', data, '--rate', '50', '--events', '5']);
  await first.see('Press Ctrl-C to end.', slowMs);
  const before = contentOf(data);
  const second = start(t, ['--data', data]);
  t.equal(await second.exited, 1);
  const pid = /(\d+) (?=\S*node .*start\.ts)/.exec(
    first.leftovers().find((line) => line.includes('start.ts')) ?? '',
  )?.[1];
  t.match(second.output(), `This example runs already on ${data} (process ${pid}), and is left as it is.`);
  t.strictSame(contentOf(data), before, 'no file is changed');
  t.strictSame(second.leftovers(), []);

  const [own = ''] = proposals(first);
  t.match(await shell(own), /^HTTP\/1\.1 202 /);
  await first.see(/^Node .* com\.github\.issues\.opened: #1 "It works" \(open\)$/m);

  const proposed = /^ {2}npm start -- (.*)$/m.exec(second.output())?.[1] ?? '';
  t.teardown(() => rmSync(`${data}-2`, { recursive: true, force: true }));
  const third = start(t, [...proposed.split(' '), '--events', '1']);
  await third.see('1 events accepted, 0 refused.', slowMs);
  for (const terminal of [third, first]) {
    terminal.ctrlC();
    t.equal(await terminal.exited, 0);
  }
});

t.test('a missing runtime is named with its install command, and only its handler is left out', async (t) => {
  const { data, temporary } = folders(t);
  writeCommand(temporary, 'php', 'exit 127');
  const terminal = start(t, ['--data', data, '--rate', '50', '--events', '10'], {
    PATH: `${temporary}:${shellEnvironment().PATH}`,
  });
  await terminal.see(/10 events accepted, 0 refused\. Lines printed: Node \d+, Python \d+, Go \d+\./, slowMs);
  const install = process.platform === 'darwin' ? 'brew install php' : 'sudo apt install php-cli';
  t.match(terminal.output(), `PHP is missing: handlers/pushes.php is left out. Install it by: ${install}`);
  const [, getTriggers = ''] = proposals(terminal);
  t.notMatch(await shell(getTriggers), 'pushes-to-hello-world', 'its trigger is left out, too');
  terminal.ctrlC();
  t.equal(await terminal.exited, 0, terminal.output());
});

t.test('a handler that is compiled for long holds no event back, and gets its own when it listens', async (t) => {
  const { data, temporary } = folders(t);
  const gate = path.join(temporary, 'gate');
  const leap = path.join(temporary, 'leap');
  const real = (await shell('command -v go')).trim();
  const waits = `if [ "$1" = run ]; then while [ ! -e '${gate}' ]; do sleep 0.05; done; fi`;
  writeCommand(temporary, 'go', `${waits}\nexec '${real}' "$@"`);
  const flags = ['--data', data, '--rate', '50', '--events', '10', '--patience', '0'];
  const terminal = startOnClock(t, leap, temporary, flags);
  await terminal.see(/10 events accepted, 0 refused\. Lines printed: Node \d+, Python \d+, PHP \d+, Go 0\./, slowMs);
  t.match(terminal.output(), 'handlers/everything.go is being compiled');
  writeFileSync(leap, '');
  writeFileSync(gate, '');
  await terminal.see('handlers/everything.go listens now; its trigger is added.', slowMs);
  const [own = '', getTriggers = ''] = proposals(terminal);
  await until(async () => (await shell(getTriggers)).includes('everything-but-ci'), 'its trigger is applied', 30_000);
  t.match(await shell(own), /^HTTP\/1\.1 202 /);
  await terminal.see(/^Go .* com\.github\.issues\.opened /m);
  terminal.ctrlC();
  t.equal(await terminal.exited, 0);
  t.strictSame(terminal.leftovers(), []);
});

t.test('a handler that never listens ends all, even while another is compiled', async (t) => {
  const { data, temporary } = folders(t);
  const leap = path.join(temporary, 'leap');
  writeCommand(temporary, 'php', 'case "$*" in *-S*) exec sleep 600; esac');
  writeCommand(temporary, 'go', 'case "$*" in *run*) exec sleep 600; esac');
  const terminal = startOnClock(t, leap, temporary, ['--data', data]);
  await until(() => terminal.leftovers().filter((line) => line.includes('sleep 600')).length === 2, 'both are started');
  writeFileSync(leap, '');
  await terminal.see(/^handlers\/\S+ does not listen on port \d+\.$/m);
  await until(() => terminal.leftovers().length === 0, 'all processes have ended');
  t.equal(await terminal.exited, 1);
});

t.test('a port that is taken is named, and how to choose another', async (t) => {
  const { data } = folders(t);
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  t.teardown(() => taken.close());
  const port = (taken.address() as { port: number }).port;
  for (const flag of ['--port', '--admin-port', '--service-port']) {
    const terminal = start(t, ['--data', data, flag, String(port)]);
    t.equal(await terminal.exited, 1);
    t.match(
      terminal.output(),
      new RegExp(`^Port ${port} of .* is in use\\. Choose another by ${flag} N or \\w+=N`, 'm'),
    );
    t.notMatch(terminal.output(), /^\s+at /m);
  }
});

t.test('a flag that it does not know or can not read is named', async (t) => {
  for (const [flags, words] of [
    [['--prot', '1'], "Unknown option '--prot'"],
    [['--port', 'x'], '--port takes a whole number from 0 to 65535, not "x".'],
    [['--help'], 'Usage: npm start -- [options]'],
  ] as const) {
    const terminal = atTerminal(t, ['npm', 'start', '--', ...flags], { cwd: root });
    t.equal(await terminal.exited, flags.length === 1 ? 0 : 1);
    t.match(terminal.output(), words);
    t.notMatch(terminal.output(), /^\s+at /m);
  }
});

function start(t: Test, flags: readonly string[], env: Record<string, string> = {}): Terminal {
  return atTerminal(t, ['npm', 'start', '--', ...anyPorts, ...flags], { cwd: root, env });
}

interface Started {
  readonly npm: ChildProcess;
  readonly mark: Mark;
  /** Where its temporary files are. */
  readonly temporary: string;
}

/** `npm start` as a service manager or a script runs it, when it has shown its first event. */
async function startWithoutTerminal(t: Test): Promise<Started> {
  const { data, temporary } = folders(t);
  const mark = newMark();
  const [env, ...args] = outsideTap('npm', 'start', '--', ...anyPorts, '--data', data);
  const npm = spawn(env, args, {
    cwd: root,
    env: { ...shellEnvironment(), ...mark.env, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => mark.killAll());
  let shown = '';
  npm.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  await until(() => /^Node /m.test(shown), 'the first event is printed', slowMs);
  return { npm, mark, temporary };
}

/** Each file of the folder but those that Posthorn's log writes as it goes. */
function contentOf(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8', withFileTypes: true })
    .filter((entry) => entry.isFile() && path.basename(entry.parentPath) !== 'log')
    .map((entry) => path.join(entry.parentPath, entry.name));
  return Object.fromEntries(files.map((file) => [file, readFileSync(file, 'utf8')]));
}

/**
 * The quickstart with a clock that leaps by an hour as soon as the file `leap` is there.
 * @param commands a folder of commands that stand in for installed ones
 */
function startOnClock(t: Test, leap: string, commands: string, flags: readonly string[]): Terminal {
  const clock = `import { existsSync } from 'node:fs';
    const now = performance.now.bind(performance);
    performance.now = () => now() + (existsSync(${JSON.stringify(leap)}) ? 3_600_000 : 0);`;
  const node = [
    path.join(root, 'node_modules/.bin/node'),
    '--import',
    `data:text/javascript,${encodeURIComponent(clock)}`,
  ];
  const env = { PATH: `${commands}:${shellEnvironment().PATH}` };
  return atTerminal(t, [...node, 'examples/quickstart/start.ts', ...anyPorts, ...flags], { cwd: root, env });
}

function writeCommand(folder: string, name: string, script: string): void {
  const file = path.join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
}

/** The lines of this writer that name an event. */
function events(terminal: Terminal, writer: string): string[] {
  return terminal.linesOf(`${writer.padEnd('posthorn'.length)}  com.github.`);
}

function folders(t: Test): { data: string; temporary: string } {
  const data = mkdtempSync(path.join(tmpdir(), 'quickstart-data-'));
  const temporary = mkdtempSync(path.join(tmpdir(), 'quickstart-tmp-'));
  t.teardown(() => {
    for (const folder of [data, temporary]) rmSync(folder, { recursive: true, force: true });
  });
  return { data, temporary };
}
