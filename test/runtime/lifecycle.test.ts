import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { sleep } from '../../runtime/clock.ts';
import { ClosingTime, onStopSignals, Releasers } from '../../runtime/lifecycle.ts';
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

t.test('all that closes has one time together, which runs from the first', async (t) => {
  const clock = new ManualClock();
  let limitMs = 30_000;
  const closing = new ClosingTime(() => limitMs, clock);
  const closes = (ms: number) => {
    let ended = 'not yet';
    const close = async (signal: AbortSignal): Promise<void> => {
      await sleep(clock, ms, signal);
      ended = signal.aborted ? 'cut' : 'by itself';
    };
    return { done: closing.within(close), ended: () => ended };
  };
  await clock.advance(60_000);
  const quick = closes(20_000);
  await clock.advance(20_000);
  t.equal(quick.ended(), 'by itself');
  const slow = closes(20_000);
  await clock.advance(9_999);
  t.equal(slow.ended(), 'not yet');
  await clock.advance(1);
  t.equal(slow.ended(), 'cut', '30 s after the first began');
  const late = closes(1);
  await clock.advance(0);
  t.equal(late.ended(), 'cut', 'no time is left');
  limitMs = 40_000;
  const longer = closes(5_000);
  await clock.advance(5_000);
  t.equal(longer.ended(), 'by itself', 'the limit is asked anew');
  await Promise.all([quick, slow, late, longer].map(({ done }) => done));
  t.equal(clock.pending, 0, 'no timer is left');
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
