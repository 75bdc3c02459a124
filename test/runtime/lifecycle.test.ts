import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { onStopSignals, Releasers } from '../../runtime/lifecycle.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';

t.test('resources are released last in, first out, one after the other', async (t) => {
  const releasers = new Releasers(pino({ level: 'silent' }));
  const order: string[] = [];
  releasers.add('log', () => void order.push('log'));
  releasers.add('server', async () => {
    order.push('server closing');
    await new Promise((resolve) => setImmediate(resolve));
    order.push('server closed');
  });
  await releasers.release();
  t.strictSame(order, ['server closing', 'server closed', 'log']);
});

t.test('what fails to be released is logged and keeps nothing else', async (t) => {
  const lines: string[] = [];
  const releasers = new Releasers(pino({}, { write: (line) => void lines.push(line) }));
  let released = false;
  releasers.add('log', () => {
    released = true;
  });
  releasers.add('server', () => Promise.reject(new Error('still in use')));
  await releasers.release();
  t.ok(released);
  t.match(JSON.parse(lines[0] ?? ''), { resource: 'server', err: { message: 'still in use' } });
});

t.test('release is idempotent: who calls again waits for the same', async (t) => {
  const releasers = new Releasers(pino({ level: 'silent' }));
  let released = 0;
  releasers.add('log', async () => {
    await new Promise((resolve) => setImmediate(resolve));
    released += 1;
  });
  void releasers.release();
  await releasers.release();
  t.equal(released, 1, 'the second call has waited');
  await releasers.release();
  t.equal(released, 1);
});

t.test('the first signal asks to stop, the second ends the process at once', async (t) => {
  const exits: number[] = [];
  const clock = new ManualClock();
  const shutdown = onStopSignals((code) => void exits.push(code), clock);
  t.teardown(() => shutdown.dispose());
  process.kill(process.pid, 'SIGTERM');
  await until(() => shutdown.signal.aborted, 'the signal arrives');
  t.equal(shutdown.signal.reason, 'SIGTERM');
  t.strictSame(exits, []);
  await clock.advance(500);
  process.kill(process.pid, 'SIGINT');
  await until(() => exits.length === 1, 'the second arrives');
  t.strictSame(exits, [130]);
});

t.test('one Ctrl-C that arrives twice, from the terminal and through npm, counts once', async (t) => {
  const exits: number[] = [];
  let arrived = 0;
  const count = (): void => void arrived++;
  const clock = new ManualClock();
  const shutdown = onStopSignals((code) => void exits.push(code), clock);
  process.on('SIGINT', count);
  t.teardown(() => {
    process.off('SIGINT', count);
    shutdown.dispose();
  });
  process.kill(process.pid, 'SIGINT');
  await until(() => arrived === 1, 'it arrives');
  await clock.advance(499);
  process.kill(process.pid, 'SIGINT');
  await until(() => arrived === 2, 'it arrives again');
  t.strictSame(exits, []);
  await clock.advance(1);
  process.kill(process.pid, 'SIGINT');
  await until(() => arrived === 3, 'a later one');
  t.strictSame(exits, [130]);
});

t.test('after dispose a signal ends the process as it would have', async (t) => {
  const before = process.listenerCount('SIGTERM');
  const shutdown = onStopSignals();
  shutdown.dispose();
  shutdown.dispose();
  t.equal(process.listenerCount('SIGTERM'), before);
});

t.test('a real process that hangs in its shutdown ends with 143 at the second SIGTERM', async (t) => {
  const file = join(import.meta.dirname, '../../runtime/lifecycle.ts');
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { onStopSignals } from '${file}';
     onStopSignals().signal.addEventListener('abort', () => console.log('stopping'));
     setInterval(() => {}, 1000);
     console.log('ready');`,
  ]);
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  await until(() => output.includes('ready'), 'it runs');
  child.kill('SIGTERM');
  await until(() => output.includes('stopping'), 'it stops');
  const exited = once(child, 'exit');
  // Those that come with the first don't count.
  await until(() => {
    child.kill('SIGTERM');
    return child.exitCode !== null;
  }, 'it ends');
  t.strictSame(await exited, [143, null]);
});
