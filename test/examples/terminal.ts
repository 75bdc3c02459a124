import { execFile, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import path from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import type { Test } from 'tap';
import { until } from '../support/until.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** A command at a terminal of its own, as a person runs it. */
export interface Terminal {
  /** All that it has shown so far, without colours. */
  output(): string;
  /** Its lines that begin so, from the first to the last. */
  linesOf(start: string): string[];
  see(what: string | RegExp, timeoutMs?: number): Promise<void>;
  ctrlC(): void;
  /** Closes the window. */
  close(): void;
  readonly exited: Promise<number | null>;
  /** Command lines of the processes it started, and they in turn, that still run. */
  leftovers(): string[];
}

export interface Setting {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Six processes start one after the other, on a machine that may run other tests. */
export const slowMs = 150_000;

/**
 * With an empty build cache Go compiles its standard library: 30 s on two idle cores, and minutes where several test
 * files do it at the same time, for Go lets none wait for the other.
 */
const compileTimeoutMs = 900_000;

/** What a test file may take besides. */
const fileTimeoutMs = 300_000;

/**
 * Lets `go run` start the quickstart's handler as fast as on any but the first day. Awaited before a file's tests; the
 * time for them begins when it is done.
 * @param file the file's root test
 */
export async function compileGoHandler(file: Pick<Test, 'setTimeout'>): Promise<void> {
  file.setTimeout(compileTimeoutMs);
  const handler = path.join(root, 'examples/quickstart/handlers/everything.go');
  await promisify(execFile)('go', ['build', '-o', '/dev/null', handler]);
  file.setTimeout(fileTimeoutMs);
}

/** Copies the terminal's output to stdout and stdin to the terminal; ends with the command's exit code. */
const pty = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';

/** Runs the command at a terminal; whatever is left of it at the end of the test is ended. */
export function atTerminal(t: Test, command: readonly string[], { cwd, env = {} }: Setting): Terminal {
  const mark = newMark();
  const [program, ...args] = outsideTap('python3', '-c', pty, ...command);
  const child = spawn(program, args, {
    cwd,
    env: { ...shellEnvironment(), ...env, ...mark.env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += stripVTControlCharacters(text).replaceAll('\r\n', '\n');
  });
  const exited = once(child, 'close').then(([code]) => code as number | null);
  let running = true;
  void exited.then(() => {
    running = false;
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
    mark.killAll();
  });
  const seen = (what: string | RegExp): boolean => (typeof what === 'string' ? shown.includes(what) : what.test(shown));
  return {
    output: () => shown,
    linesOf: (start) => shown.split('\n').filter((line) => line.startsWith(start)),
    async see(what, timeoutMs = 30_000) {
      await until(() => seen(what) || !running, `the terminal shows ${what}; it shows:\n${shown}`, timeoutMs).catch(
        (error: Error) => {
          throw new Error(`${error.message}\n${shown}`);
        },
      );
      if (!seen(what)) throw new Error(`the command ended without showing ${what}; it showed:\n${shown}`);
    },
    ctrlC: () => void child.stdin.write('\x03'),
    close: () => void child.kill('SIGKILL'),
    exited,
    leftovers: mark.running,
  };
}

/** The commands that an example proposes: what is indented by three characters, and by more where they go on. */
export function proposals(terminal: Terminal): string[] {
  const [, next = ''] = terminal.output().split('What to try next');
  const commands: string[] = [];
  for (const line of next.split('\n')) {
    if (/^ {3}(curl|npx|sed) /.test(line)) commands.push(line);
    else if (/^ {5}/.test(line)) commands.push(`${commands.pop()}\n${line}`);
  }
  return commands;
}

/** Runs the command in the checkout as a person does; gives what it wrote to stdout. */
export async function shell(command: string): Promise<string> {
  const [env, ...args] = outsideTap('sh', '-c', command);
  const { stdout } = await promisify(execFile)(env, args, { cwd: root, env: shellEnvironment() });
  return stdout;
}

export interface Mark {
  /** Is inherited by every process that the marked one starts. */
  readonly env: Readonly<Record<string, string>>;
  /** Command lines of the processes that bear it. */
  running(): string[];
  killAll(): void;
}

/** Marks processes by a variable in their environment, which survives whatever happens to their parents. */
export function newMark(): Mark {
  const name = 'EXAMPLE_TEST_RUN';
  const value = randomUUID();
  const marked = (): string[] =>
    execFileSync('ps', ['axeww', '-o', 'pid=,command='], { encoding: 'utf8', maxBuffer: 64 * 1_048_576 })
      .split('\n')
      .filter((line) => line.includes(`${name}=${value}`));
  return {
    env: { [name]: value },
    running: () => marked().map((line) => line.trim().split(' ').slice(0, 6).join(' ')),
    killAll() {
      for (const line of marked()) process.kill(Number.parseInt(line, 10), 'SIGKILL');
    },
  };
}

/** The command without the modules that tap puts into every process by NODE_OPTIONS, which only `env` can take away. */
export function outsideTap(...command: readonly string[]): [string, ...string[]] {
  return ['env', '-u', 'NODE_OPTIONS', ...command];
}

/** The environment as a shell outside of this test run has it: nothing of npm's, tap's or Posthorn's. */
export function shellEnvironment(): Record<string, string> {
  const own = /^(npm_|TAP|_TAP|NODE_OPTIONS$|NODE$|INIT_CWD$|POSTHORN_|SERVICE_PORT$)/;
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && !own.test(name)) environment[name] = value;
  }
  environment.PATH = (process.env.PATH ?? '')
    .split(':')
    .filter((folder) => !/node_modules\/\.bin$|node-gyp-bin$/.test(folder))
    .join(':');
  return environment;
}
