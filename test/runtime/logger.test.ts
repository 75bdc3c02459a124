import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import t from 'tap';
import { PosthornError } from '../../runtime/errors.ts';
import { textLine } from '../../runtime/log-text.ts';
import { createLogger, type LogOutput } from '../../runtime/logger.ts';
import { until } from '../support/until.ts';

const loggerFile = join(import.meta.dirname, '../../runtime/logger.ts');
const exec = promisify(execFile);

/** Holds what was written back until it is flushed, as the real destination does. */
function memory(isTTY = false): LogOutput & { readonly flushed: string[] } {
  let held: string[] = [];
  const flushed: string[] = [];
  return {
    flushed,
    isTTY,
    write: (line) => void held.push(line),
    flushSync() {
      flushed.push(...held);
      held = [];
    },
  };
}

t.test('a line is one JSON object with level, time, fields and message', async (t) => {
  const output = memory();
  createLogger({ output }).child({ broker: 'default/default' }).warn({ attempt: 2 }, 'the subscriber failed');
  await until(() => output.flushed.length === 1, 'the line is written');
  const { time, ...rest } = JSON.parse(output.flushed[0] ?? '');
  t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  t.strictSame(rest, { level: 'warn', broker: 'default/default', attempt: 2, msg: 'the subscriber failed' });
});

t.test('lines gather, and come by themselves soon after', async (t) => {
  const output = memory();
  const logger = createLogger({ output });
  for (let n = 0; n < 10; n++) logger.info({ n }, 'line');
  t.equal(output.flushed.length, 0, 'gathered');
  await until(() => output.flushed.length === 10, 'the lines are written');
  logger.info('later');
  await until(() => output.flushed.length === 11, 'a later line is written too');
});

t.test('lines below the level are not written', async (t) => {
  const output = memory();
  const logger = createLogger({ output, level: 'warn' });
  logger.info('no');
  logger.warn('yes');
  await until(() => output.flushed.length === 1, 'the line is written');
  t.match(output.flushed[0], '"yes"');
});

t.test('a fatal line is written at once', async (t) => {
  const output = memory();
  createLogger({ output }).fatal('the end');
  t.equal(output.flushed.length, 1);
});

t.test('at a terminal a line is text, elsewhere JSON, and either can be asked for', async (t) => {
  for (const [isTTY, format, text] of [
    [true, 'auto', true],
    [false, 'auto', false],
    [true, 'json', false],
    [false, 'text', true],
  ] as const) {
    const output = memory(isTTY);
    createLogger({ output, format }).info('hello');
    await until(() => output.flushed.length === 1, 'the line is written');
    t.equal(
      /^\d\d:\d\d:\d\d\.\d{3} INFO {2}hello\n$/.test(output.flushed[0] ?? ''),
      text,
      `${format}, terminal: ${isTTY}`,
    );
  }
});

t.test('an error that a user can mend is its code and words, any other shows its stack', async (t) => {
  const output = memory();
  const logger = createLogger({ output });
  logger.warn({ err: new PosthornError('LOG_FULL', 'no room', { cause: new Error('ENOSPC') }) }, 'append failed');
  logger.error({ err: new TypeError('x is undefined') }, 'bug');
  await until(() => output.flushed.length === 2, 'the lines are written');
  const [expected, bug] = output.flushed.map((line) => JSON.parse(line));
  t.strictSame(expected.err, { code: 'LOG_FULL', message: 'no room', cause: 'ENOSPC' });
  t.match(bug.err, { type: 'TypeError', message: 'x is undefined', stack: /logger\.test/ });
});

t.test('the text form is compact, and quotes and escapes what could mislead', async (t) => {
  const line = (fields: object): string => textLine(JSON.stringify({ time: '2026-01-01T10:20:30.456Z', ...fields }));
  t.match(
    line({ level: 'info', msg: 'listening', port: 8080, host: '127.0.0.1', roles: ['ingress'], note: 'two words' }),
    /^\d\d:\d\d:30\.456 INFO {2}listening port=8080 host=127\.0\.0\.1 roles=\["ingress"\] note="two words"\n$/,
  );
  t.match(
    line({ level: 'warn', msg: 'm', err: { code: 'X', message: 'it failed' } }),
    / WARN {2}m error="it failed"\n$/,
  );
  const steering = line({ level: 'info', msg: 'red \u001b[31m\r', id: '\u009b2J' });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
  t.notMatch(steering, /[\u001b\r\u009b]/, 'control characters of an event do not reach the terminal');
});

t.test('the text form leaves out what holds nothing and what only repeats the message', async (t) => {
  const shown = (fields: object): string =>
    textLine(JSON.stringify({ time: '2026-01-01T10:20:30.456Z', level: 'info', ...fields })).slice(19, -1);
  t.equal(
    shown({ msg: 'attempt failed', status: null, type: '', filters: [], more: {}, n: 0, ok: false }),
    'attempt failed n=0 ok=false',
  );
  const place = { file: 't/a.yaml', line: 4, column: 9, field: 'spec.broker' };
  t.equal(shown({ msg: 't/a.yaml:4:9: spec.broker: no broker x', ...place }), 't/a.yaml:4:9: spec.broker: no broker x');
  t.equal(shown({ msg: 'a file', ...place }), 'a file file=t/a.yaml line=4 column=9 field=spec.broker');
  t.equal(shown({ msg: 'trigger default/a created', action: 'created' }), 'trigger default/a created');
  t.equal(shown({ msg: 'stopping at SIGTERM: …', signal: 'SIGTERM' }), 'stopping at SIGTERM: …');
  t.equal(
    shown({ msg: 'registry: trigger/a ignored', key: 'trigger/a', offset: 3 }),
    'registry: trigger/a ignored offset=3',
  );
  t.equal(
    shown({ msg: 'in /data/log', directory: '/data' }),
    'in /data/log directory=/data',
    'a part of a path is not the path',
  );
  t.equal(
    shown({ msg: 'attempt failed', trigger: 'failed' }),
    'attempt failed trigger=failed',
    'a name may be any word',
  );
  t.equal(shown({ msg: 'LOST: 3 records', from: 0, to: 3 }), 'LOST: 3 records from=0 to=3');
});

t.test('the text form tells the words of an error and of its cause once', async (t) => {
  const shown = (fields: object): string =>
    textLine(JSON.stringify({ time: '2026-01-01T10:20:30.456Z', level: 'warn', ...fields })).slice(19, -1);
  const err = { code: 'X', message: 'no answer: refused', cause: 'refused' };
  t.equal(shown({ msg: 'trying on: no answer: refused', err }), 'trying on: no answer: refused');
  t.equal(shown({ msg: 'trying on', err }), 'trying on error="no answer: refused"');
  t.equal(shown({ msg: 'm', err: { message: 'no answer', cause: 'refused' } }), 'm error="no answer" cause=refused');
});

t.test('no line is lost when the process exits or throws', async (t) => {
  const script = (end: string): string[] => [
    '--input-type=module',
    '-e',
    `import { createLogger } from '${loggerFile}';
     const logger = createLogger();
     for (let n = 0; n < 1000; n++) logger.info({ n }, 'line');
     ${end}`,
  ];
  const ended = await exec(process.execPath, script(''));
  t.equal(ended.stdout.trim().split('\n').length, 1000, 'at the natural end');
  const exited = await exec(process.execPath, script('process.exit(0)'));
  t.equal(exited.stdout.trim().split('\n').length, 1000, 'at process.exit');
  const threw = await exec(process.execPath, script('throw new Error("bug")')).catch((error) => error);
  t.equal(threw.stdout.trim().split('\n').length, 1000, 'at an uncaught error');
});

t.test('a process whose reader has gone lives on', async (t) => {
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { createLogger } from '${loggerFile}';
     const logger = createLogger();
     for (let n = 0; n < 3000; n++) logger.info({ n }, 'line');
     setTimeout(() => { logger.info('more'); console.error('lives'); }, 300);`,
  ]);
  child.stdout.destroy();
  t.equal(await text(child.stderr), 'lives\n');
  t.equal(child.exitCode ?? (await once(child, 'exit'))[0], 0);
});
