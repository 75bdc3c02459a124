import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { until } from './until.ts';

/** A `posthorn serve` of its own process, as a user runs it. */
export interface PosthornProcess {
  readonly pid: number;
  /** `http://127.0.0.1:PORT`; empty for a process without ingress. */
  readonly url: string;
  readonly adminUrl: string;
  /** Its log lines, parsed. */
  readonly lines: Readonly<Record<string, unknown>>[];
  /** SIGTERM, and waits; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL, and waits. */
  kill(): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Resolves with the exit code, or null after a signal. */
  readonly exited: Promise<number | null>;
}

const bin = fileURLToPath(new URL('../../bin/posthorn.js', import.meta.url));

/**
 * Starts `posthorn serve` with these arguments on free ports, and resolves when it is ready.
 * @throws Error with what it printed, if it ends before that
 */
export async function startPosthorn(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<PosthornProcess> {
  // Without the modules that tap loads into every process, of which one dies of signals that Node ignores.
  const command = ['-u', 'NODE_OPTIONS', process.execPath, bin, 'serve', '--port', '0', '--admin-port', '0'];
  const child = spawn('env', [...command, ...args], {
    env: { ...inherited(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = exitOf(child);
  const lines: Record<string, unknown>[] = [];
  const rest: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      if (line.startsWith('{')) lines.push(JSON.parse(line) as Record<string, unknown>);
      else rest.push(line);
    });
  }
  let isRunning = true;
  void exited.then(() => {
    isRunning = false;
  });
  const running = () => lines.find((line) => line.msg === 'Posthorn is running');
  await until(() => running() !== undefined || !isRunning, 'posthorn serve to run', 60_000);
  const line = running();
  if (!line)
    throw new Error(`posthorn serve ended: ${[...rest, ...lines.map((one) => JSON.stringify(one))].join('\n')}`);
  const adminUrl = String(line.admin);
  await until(async () => !isRunning || (await fetch(`${adminUrl}/readyz`)).ok, 'posthorn serve to be ready', 60_000);
  return {
    pid: child.pid ?? 0,
    url: typeof line.ingress === 'string' ? line.ingress : '',
    adminUrl,
    lines,
    exited,
    signal: (name) => void child.kill(name),
    async stop() {
      child.kill('SIGTERM');
      return exited;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

async function exitOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null];
  return code;
}

/** The environment without settings of Posthorn, which would count here too. */
function inherited(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name, value]) => value !== undefined && !name.startsWith('POSTHORN_')),
  ) as Record<string, string>;
}
