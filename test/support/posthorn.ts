import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { guard } from './kafka/guardian.ts';
import { nodeOptions } from './node-options.ts';
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

const isRunning = 'Posthorn is running';

const bin = fileURLToPath(new URL('../../bin/posthorn.js', import.meta.url));

export interface StartOptions {
  /** Called with the process's id as soon as it has one. */
  readonly onSpawn?: (pid: number) => void;
  /** Called with each log line as it comes; false keeps it out of `lines`. */
  readonly onLine?: (line: Readonly<Record<string, unknown>>) => boolean;
  /** Arguments of Node itself. */
  readonly nodeArgs?: readonly string[];
  /** Whether to wait until it is ready, and not only until it runs; true if absent. */
  readonly awaitsReady?: boolean;
}

/**
 * Starts `posthorn serve` with these arguments on free ports, and resolves when it is ready.
 * @throws Error with what it printed, if it ends before that; one that takes longer than a minute is ended
 */
export async function startPosthorn(
  args: readonly string[],
  env: Record<string, string> = {},
  { onSpawn = () => {}, onLine = () => true, nodeArgs = [], awaitsReady = true }: StartOptions = {},
): Promise<PosthornProcess> {
  // Without the modules that tap loads into every process, of which one dies of signals that Node ignores.
  const node = ['-u', 'NODE_OPTIONS', process.execPath, ...nodeOptions, ...nodeArgs];
  const child = spawn('env', [...node, bin, 'serve', '--port', '0', '--admin-port', '0', ...args], {
    env: { ...inherited(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onSpawn(child.pid ?? 0);
  // A test that is killed, as for taking too long, leaves it otherwise.
  child.once('exit', guard(`process ${child.pid}`));
  const exited = exitOf(child);
  const lines: Record<string, unknown>[] = [];
  const rest: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      const parsed = parse(line);
      if (parsed === null) rest.push(line);
      else if (onLine(parsed) || parsed.msg === isRunning) lines.push(parsed);
    });
  }
  let hasEnded = false;
  void exited.then(() => {
    hasEnded = true;
  });
  const running = () => lines.find((line) => line.msg === isRunning);
  const endUnless = async (condition: () => boolean | Promise<boolean>, what: string): Promise<void> => {
    try {
      await until(async () => hasEnded || (await condition()), what, 60_000);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  };
  await endUnless(() => running() !== undefined, 'posthorn serve to run');
  const line = running();
  if (!line)
    throw new Error(`posthorn serve ended: ${[...rest, ...lines.map((one) => JSON.stringify(one))].join('\n')}`);
  const adminUrl = String(line.admin);
  const isReady = async () => (await fetch(`${adminUrl}/readyz`)).ok;
  if (awaitsReady) await endUnless(isReady, 'posthorn serve to be ready');
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

/** A log line; null for other output, and for a line that a SIGKILL has cut off. */
function parse(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{') || !line.endsWith('}')) return null;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
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
