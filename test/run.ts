import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { type KafkaCluster, startKafkaCluster } from './support/kafka/cluster.ts';
import { isTapBuilt } from './support/tap-build.ts';
import { TapReport } from './support/tap-report.ts';

/**
 * `npm test`: type check, lint, then all tests against one real Kafka, which it starts unless KAFKA_BROKERS names one.
 * `npm test -- FILE…` runs the tests of these files alone. The last line is `N passed, N failed`; exit code 1 if any.
 */

/**
 * What a file may take in all, so that one that hangs ends. The longest, which kills processes under load, takes 90 s
 * on a quiet machine, and was seen to take 300 s on one with other work. In its long form a file has hours, not minutes.
 */
const testTimeoutSeconds = process.env.LONG === '1' ? 7_200 : 900;

const root = path.resolve(import.meta.dirname, '..');
const searchPath = [path.join(root, 'node_modules/.bin'), process.env.PATH].join(path.delimiter);
/** The whole benchmark in small, which runs by its name alone, as in `.ci/run`. */
const apart = path.normalize('test/bench/quick.test.ts');

/** Hundreds of processes load the same files; compiling them anew each time is half of what a test file costs. */
const compiled = path.join(root, 'node_modules/.cache/compiled');
const running = new Set<ChildProcess>();
let cluster: KafkaCluster | null = null;
let interrupted = false;

function start(command: string, args: readonly string[], env: Record<string, string>, stdout: 'inherit' | 'pipe') {
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, PATH: searchPath, NODE_COMPILE_CACHE: compiled, ...env },
    stdio: ['ignore', stdout, 'inherit'],
  });
  running.add(child);
  child.once('close', () => running.delete(child));
  return child;
}

async function passes(name: string, command: string, args: readonly string[]): Promise<boolean> {
  if (interrupted) return false;
  const [code] = await once(start(command, args, {}, 'inherit'), 'close');
  console.log(`${code === 0 ? 'passed' : 'FAILED'} ${name}`);
  return code === 0;
}

async function runTests(files: readonly string[], brokers: string): Promise<{ passed: number; failed: number }> {
  const report = new TapReport();
  // Most of a test's time is waiting, for processes to start or for a due time.
  const jobs = Math.max(3, Math.min(5, availableParallelism() + 1));
  const options = ['--reporter=tap', `--jobs=${jobs}`, `--timeout=${testTimeoutSeconds}`];
  const child = start('tap', ['run', ...options, ...files], { KAFKA_BROKERS: brokers }, 'pipe');
  const closed = once(child, 'close');
  if (child.stdout !== null) {
    for await (const text of createInterface({ input: child.stdout })) {
      for (const line of report.line(text)) console.log(line);
    }
  }
  const [code] = await closed;
  const { passed, failed } = report.counts;
  return { passed, failed: failed === 0 && code !== 0 ? 1 : failed };
}

/** The folders whose tests take long come first, so that none of them is left to run alone in the end. */
function longestFirst(a: string, b: string): number {
  const rank = (file: string): number => {
    const folder = file.split(path.sep)[1] ?? '';
    return ['bench', 'foreign', 'e2e', 'faults', 'examples', 'log', 'deploy', 'build'].includes(folder) ? 0 : 1;
  };
  return rank(a) - rank(b) || a.localeCompare(b);
}

async function requireKafka(): Promise<string> {
  const given = process.env.KAFKA_BROKERS;
  if (given !== undefined && given !== '') return given;
  cluster = await startKafkaCluster();
  return cluster.brokers.join(',');
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted = true;
    for (const child of running) child.kill('SIGTERM');
  });
}

const wanted = process.argv.slice(2);
let passed = 0;
let failed = 0;
try {
  const checks: [string, string, string[]][] = [
    ['type check', 'tsc', ['-p', '.']],
    ['lint', 'biome', ['check', '--error-on-warnings', '.']],
  ];
  for (const check of wanted.length === 0 ? checks : []) {
    if (await passes(...check)) passed++;
    else failed++;
  }
  const isBuilt = await isTapBuilt(root, { ...process.env, PATH: searchPath });
  if (!isBuilt && !(await passes('tap build', 'tap', ['build']))) throw new Error('tap could not be built');
  const all = () => globSync('test/**/*.test.ts', { cwd: root }).filter((file) => file !== apart);
  const files = wanted.length > 0 ? wanted : all().sort(longestFirst);
  const brokers = await requireKafka();
  if (!interrupted) {
    const tests = await runTests(files, brokers);
    passed += tests.passed;
    failed += tests.failed;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  failed++;
} finally {
  await (cluster as KafkaCluster | null)?.stop();
}
if (interrupted) console.log('interrupted');
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = interrupted ? 130 : failed === 0 ? 0 : 1;
