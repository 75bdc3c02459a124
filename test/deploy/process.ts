import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { newMark, outsideTap, shellEnvironment } from '../examples/terminal.ts';
import { until } from '../support/until.ts';

/** Node as it is installed where Posthorn is deployed: the one that runs this test. */
const nodeFolder = process.execPath.replace(/\/[^/]+$/, '');

export function deployEnvironment(env: Readonly<Record<string, string>> = {}): Record<string, string> {
  const shell = shellEnvironment();
  return { ...shell, PATH: `${nodeFolder}:${shell.PATH}`, ...env };
}

/** Runs a shell command to its end. @throws Error with its output if it fails */
export async function run(command: string, cwd: string): Promise<void> {
  const [program, ...args] = outsideTap('sh', '-c', command);
  await promisify(execFile)(program, args, { cwd, env: deployEnvironment(), maxBuffer: 16 * 1_048_576 });
}

/** Starts `posthorn serve` as it is deployed, sees it answer on its admin port, calls `use`, and ends it by SIGTERM. */
export async function serves(
  t: Test,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  cwd: string,
  use: (adminUrl: string) => Promise<void>,
): Promise<void> {
  const mark = newMark();
  const [program, ...args] = outsideTap(...command);
  const child = spawn(program, args, {
    cwd,
    env: deployEnvironment({ ...env, ...mark.env }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => mark.killAll());
  let shown = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
    });
  }
  const exited = once(child, 'close');
  const running = (): RegExpExecArray | null => /"admin":"http:\/\/[^"]*:(\d+)"/.exec(shown);
  await until(() => running() !== null || child.exitCode !== null, 'posthorn serve is running', 60_000);
  const adminUrl = `http://127.0.0.1:${running()?.[1]}`;
  if (running() === null) throw new Error(`posthorn serve ended: ${shown}`);
  t.equal((await fetch(`${adminUrl}/healthz`)).status, 200, 'it answers /healthz');
  await until(async () => (await fetch(`${adminUrl}/readyz`)).ok, 'it is ready', 30_000);
  await use(adminUrl);
  child.kill('SIGTERM');
  const [code] = await exited;
  t.equal(code, 0, 'SIGTERM ends it with exit code 0');
  t.strictSame(mark.running(), [], 'no process is left');
}
