import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { until } from '../support/until.ts';

/*
 * The short form of `npm run test:faults`: another schedule each time, whose seed is printed. With SEED=N in the
 * environment it is that of N.
 */

const run = fileURLToPath(new URL('./run.ts', import.meta.url));

interface Ended {
  readonly code: number;
  readonly printed: string;
}

/** Runs the suite as a user does, but without the modules that tap loads into every process. */
function runFaults(...args: string[]): Promise<Ended> {
  const command = ['-u', 'NODE_OPTIONS', process.execPath, run, ...args];
  return new Promise((resolve, reject) => {
    const child = execFile('env', command, { maxBuffer: 16 * 1_048_576 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ code: Number(error?.code ?? 0), printed: stdout + stderr });
    });
    t.teardown(() => void child.kill('SIGTERM'));
  });
}

const seed = process.env.SEED === undefined ? [] : ['--seed', process.env.SEED];

t.test('on the embedded log under faults nothing is missing or repeated without a reason', async (t) => {
  const { code, printed } = await runFaults('--log', 'embedded', '--duration', '15s', ...seed);
  t.comment(printed);
  t.equal(code, 0);
});

t.test('on Kafka under faults nothing is missing or repeated without a reason', async (t) => {
  const { code, printed } = await runFaults('--log', 'kafka', '--duration', '20s', ...seed);
  t.comment(printed);
  t.equal(code, 0);
});

t.test('it ends with 2 for what it does not know, and says what would be right', async (t) => {
  const wrong = await runFaults('--faults', 'kill,quake');
  t.equal(wrong.code, 2);
  t.match(wrong.printed, /there is no quake; known are kill, stop/);
});

t.test('a run that is interrupted leaves no process and no file behind', async (t) => {
  const directory = t.testdir();
  const args = [run, '--log', 'embedded', '--duration', '60s'];
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, ...args], {
    env: { ...process.env, TMPDIR: directory },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  await until(() => / s (kill|stop|restart|clock|hang|reset|refuse|flap)/.test(printed), 'a fault to come', 60_000);
  child.kill('SIGINT');
  const [code] = await ended;
  t.equal(code, 130);
  await until(() => processesNaming(directory).length === 0, 'all processes have ended');
  t.strictSame(readdirSync(directory), []);
});

/** Command lines of the processes that have this path in theirs. */
function processesNaming(path: string): string[] {
  return globSync('/proc/[0-9]*/cmdline')
    .map((file) => {
      try {
        return readFileSync(file, 'utf8').replaceAll('\0', ' ');
      } catch {
        return ''; // it has ended
      }
    })
    .filter((command) => command.includes(path));
}
