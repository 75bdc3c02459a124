import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import type { Draft } from '../../examples/lib/send.ts';
import { githubEvents } from '../../examples/quickstart/github-events.ts';
import { until } from '../support/until.ts';
import { atTerminal, newMark, outsideTap, shellEnvironment, slowMs, type Terminal } from './terminal.ts';

const root = path.resolve(import.meta.dirname, '../..');
/** Free ports; and Go is waited for, however long it compiles. */
const anyPorts = ['--port', '0', '--admin-port', '0', '--service-port', '0', '--patience', '150'];

/** What the triggers of the quickstart say, in other words. */
const expected: Readonly<Record<string, (event: Draft) => boolean>> = {
  Node: ({ type }) => type.startsWith('com.github.issues.'),
  Python: ({ type }) => type === 'com.github.pull_request.opened',
  PHP: ({ type, source }) => type === 'com.github.push' && source === 'https://github.com/Codertocat/Hello-World',
  Go: ({ type }) => !/^com\.github\.(check_|workflow_|status$)/.test(type),
};

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
    await until(
      async () => /dead_letter.*pull-requests-opened.* [1-9]/.test(await shell(deadLetters)),
      'the dead letter is counted',
    );

    terminal.ctrlC();
    t.equal(await terminal.exited, 0);
    t.strictSame(terminal.leftovers(), [], 'no process is left');
    t.strictSame(readdirSync(temporary), [], 'no temporary file is left');
    t.notMatch(terminal.output(), /^\s+at /m, 'no stack is shown');

    const again = start(t, ['--data', data, '--rate', '50', '--events', '5']);
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

t.test('nothing is left when the terminal is closed', async (t) => {
  const { data } = folders(t);
  const terminal = start(t, ['--data', data]);
  await terminal.see(/^Node /m, slowMs);
  terminal.close();
  await until(() => terminal.leftovers().length === 0, 'all processes have ended');
});

t.test('nothing is left when npm is ended by SIGTERM, which it does not pass on', async (t) => {
  const { data } = folders(t);
  const mark = newMark();
  const [env, ...args] = outsideTap('npm', 'start', '--', ...anyPorts, '--data', data);
  const npm = spawn(env, args, {
    cwd: root,
    env: { ...shellEnvironment(), ...mark.env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => mark.killAll());
  let shown = '';
  npm.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
  });
  await until(() => /^Node /m.test(shown), 'the first event is printed', slowMs);
  npm.kill('SIGTERM');
  await until(() => mark.running().length === 0, 'all processes have ended');
});

t.test('a missing runtime is named with its install command, and only its handler is left out', async (t) => {
  const { data, temporary } = folders(t);
  const php = path.join(temporary, 'php');
  writeFileSync(php, '#!/bin/sh\nexit 127\n');
  chmodSync(php, 0o755);
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
  const go = path.join(temporary, 'go');
  const gate = path.join(temporary, 'gate');
  const real = (await shell('command -v go')).trim();
  const waits = `if [ "$1" = run ]; then while [ ! -e '${gate}' ]; do sleep 0.05; done; fi`;
  writeFileSync(go, `#!/bin/sh\n${waits}\nexec '${real}' "$@"\n`);
  chmodSync(go, 0o755);
  const terminal = start(t, ['--data', data, '--rate', '50', '--events', '10', '--patience', '0'], {
    PATH: `${temporary}:${shellEnvironment().PATH}`,
  });
  await terminal.see(/10 events accepted, 0 refused\. Lines printed: Node \d+, Python \d+, PHP \d+, Go 0\./);
  t.match(terminal.output(), 'handlers/everything.go is being compiled');
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

/** The lines of this writer that name an event. */
function events(terminal: Terminal, writer: string): string[] {
  return terminal.linesOf(`${writer.padEnd('posthorn'.length)}  com.github.`);
}

/** The commands that it proposes: what is indented by three characters, up to the next empty line or command. */
function proposals(terminal: Terminal): string[] {
  const [, next = ''] = terminal.output().split('What to try next');
  const commands: string[] = [];
  for (const line of next.split('\n')) {
    if (/^ {3}(curl|npx) /.test(line)) commands.push(line);
    else if (/^ {5}-/.test(line)) commands.push(`${commands.pop()}\n${line}`);
  }
  return commands;
}

async function shell(command: string): Promise<string> {
  const [env, ...args] = outsideTap('sh', '-c', command);
  const { stdout } = await promisify(execFile)(env, args, { cwd: root, env: shellEnvironment() });
  return stdout;
}

function folders(t: Test): { data: string; temporary: string } {
  const data = mkdtempSync(path.join(tmpdir(), 'quickstart-data-'));
  const temporary = mkdtempSync(path.join(tmpdir(), 'quickstart-tmp-'));
  t.teardown(() => {
    for (const folder of [data, temporary]) rmSync(folder, { recursive: true, force: true });
  });
  return { data, temporary };
}
