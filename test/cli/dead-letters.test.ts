import t from 'tap';
import { parse } from 'yaml';
import { toDeadLetterRecord, toRawRecord } from '../../dispatcher/dead-letter.ts';
import type { Failure } from '../../dispatcher/fate.ts';
import { serveAdmin } from '../console/setup.ts';
import { posthorn, type Ran } from '../support/cli.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { onBothLogs } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { startSink } from '../support/sink.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const topic = 'posthorn.default.default._dead-letter';

const failure: Failure = {
  reason: '503 (3 attempts)',
  attempts: 3,
  firstAttemptAtMs: 1_700_000_001_000,
  lastAttemptAtMs: 1_700_000_004_500,
  status: 503,
  body: Buffer.alloc(0),
};

/** A Posthorn with a dead letter for each of the reasons, alternately of the triggers `orders` and `bills`. */
async function setUp(t: Parameters<typeof serveAdmin>[0], reasons: readonly string[]) {
  const { url, log } = await serveAdmin(t);
  for (const [n, reason] of reasons.entries()) {
    const event = testEvent({ id: `e${n}`, source: '/shop' }, Buffer.from('{"n":12345678901234567890}'));
    const trigger = testTrigger('http://handler.example/', { name: n % 2 === 0 ? 'orders' : 'bills' });
    const record = toDeadLetterRecord(testDelivery(trigger, event), { ...failure, reason }, null);
    await log.append(topic, n % 2, [{ ...record, timestampMs: 1_700_000_010_000 + 1_000 * n }]);
  }
  const run = (...args: string[]): Promise<Ran> => posthorn(['get', ...args], { env: { POSTHORN_SERVER: url } });
  return { log, run };
}

t.test('get dead-letters shows when, whose, why and which event, newest last', async (t) => {
  const { run } = await setUp(t, ['503 (3 attempts)', `connection refused: ${'x'.repeat(100)}`]);
  const { code, stdout, stderr } = await run('dead-letters');
  t.strictSame([code, stderr], [0, '']);
  t.equal(
    stdout,
    `TIME                   TRIGGER   ATTEMPTS   REASON                                                                             EVENT   SOURCE   TYPE
2023-11-14T22:13:30Z   orders    3          503 (3 attempts)                                                                   e0      /shop    com.example.test
2023-11-14T22:13:31Z   bills     3          connection refused: ${'x'.repeat(59)}…   e1      /shop    com.example.test
`,
  );
  for (const name of ['deadletter', 'dead-letter', 'deadletters', 'DeadLetters.posthorn.dev'])
    t.equal((await run(name)).stdout, stdout, name);
  const wide = (await run('dead-letters', '-o', 'wide')).stdout;
  t.match(wide, /TYPE +FIRST ATTEMPT +SINK +ORIGIN +NAME\n/);
  t.match(wide, `connection refused: ${'x'.repeat(100)} `);
  t.match(wide, / 2023-11-14T22:13:21\.000Z +<none> +events\/0\/7 +1-0\n$/);
  t.strictSame(await run('dead-letters', '-o', 'name'), {
    code: 0,
    stdout: 'deadletter.posthorn.dev/0-0\ndeadletter.posthorn.dev/1-0\n',
    stderr: '',
  });
});

t.test('-o json and yaml give the whole events, with data and headers, and no number changed', async (t) => {
  const { run } = await setUp(t, ['503', '400']);
  const { stdout } = await run('dead-letters', '--trigger', 'bills', '-o', 'json');
  t.match(stdout, '"n": 12345678901234567890');
  const list = JSON.parse(stdout);
  t.match(list, { apiVersion: 'v1', kind: 'List', items: [{ kind: 'DeadLetter', trigger: 'bills', reason: '400' }] });
  t.match(list.items[0], {
    event: { id: 'e1', source: '/shop', data: { n: Number } },
    record: { headers: { 'posthorn-trigger': 'default/bills', 'posthorn-attempts': '3' } },
  });
  const yaml = (await run('dead-letters', '--trigger', 'bills', '-o', 'yaml')).stdout;
  t.match(yaml, / n: 12345678901234567890\n/);
  t.same(parse(yaml), list);
});

t.test('the limit holds, and who sees only a part is told', async (t) => {
  const { run } = await setUp(t, Array(25).fill('503'));
  const shown = await run('dead-letters', '-o', 'name');
  t.equal(shown.stdout.split('\n').length - 1, 20);
  t.match(await run('dead-letters', '--limit', '2'), {
    stdout: /e23 .*\n.* e24 .*\n$/,
    stderr: 'These are the newest 2; --limit shows more.\n',
  });
  t.match(await run('dead-letters', '--limit', '25'), { stderr: '' });
  t.match(await run('dead-letters', '--trigger', 'bills', '--limit', '12'), { stdout: /bills/, stderr: '' });
});

t.test('what a stranger sent does not reach the terminal as a command to it', async (t) => {
  const { log, run } = await setUp(t, []);
  const foreign = { offset: 0, timestampMs: 0, key: null, value: Buffer.from('x'), headers: {} };
  const origin = { topic: 'pages', partition: 0, offset: 0, appendedAtMs: 0 };
  await log.append(topic, 0, [toRawRecord(foreign, origin, 'the type is "\u001b[2J\n"')]);
  const { stdout } = await run('dead-letters');
  t.match(stdout, /Z +<none> +<none> +the type is "\ufffd\[2J\ufffd" +<none> +<none> +<none>\n$/);
});

t.test('where there is none, and where the command line is wrong, it says so', async (t) => {
  const { run } = await setUp(t, []);
  t.strictSame(await run('dead-letters'), {
    code: 0,
    stdout: '',
    stderr: 'No dead letters found in broker default/default.\n',
  });
  t.match(await run('dead-letters', '--trigger', 'orders'), {
    stderr: 'No dead letters of trigger orders found in broker default/default.\n',
  });
  t.match(await run('dead-letters', '-o', 'json'), { code: 0, stdout: /"items": \[\]/, stderr: '' });
  t.match(await run('dead-letters', '-n', 'shop', '--broker', 'x'), {
    code: 1,
    stderr: 'posthorn: no broker shop/x\n',
  });
  t.match(await run('dead-letters', 'orders'), { code: 2, stderr: /--trigger orders/ });
  t.match(await run('dead-letters', '-A'), { code: 2, stderr: /-n and --broker/ });
  t.match(await run('dead-letters', '--limit', '0'), { code: 2, stderr: /--limit must be a whole number, 1 to 1000/ });
  t.match(await run('triggers', '--limit', '1'), { code: 2, stderr: /--limit is for dead-letters only/ });
  t.match(await run('deadleters'), { code: 2, stderr: /did you mean dead-letters\?/ });
  t.match(await posthorn(['delete', 'dead-letters', 'x']), { code: 2, stderr: /dead letters can't be deleted/ });
});

onBothLogs('who sent an event that a handler refused finds out why', async (t, log) => {
  const handler = await startSink(() => ({ status: 400, body: 'no such order' }));
  t.teardown(() => handler.close());
  const server = await startPosthorn(log.args);
  t.teardown(() => server.kill());
  await applyTo(server.adminUrl, triggerYaml('orders', handler.url));
  const env = { POSTHORN_SERVER: server.adminUrl };
  t.match(await posthorn(['send', '--url', server.url, '--type', 'order.created', '--id', '17']), { code: 0 });
  let stdout = '';
  await until(async () => {
    ({ stdout } = await posthorn(['get', 'dead-letters', '--trigger', 'orders'], { env }));
    return stdout !== '';
  }, 'the dead letter');
  t.match(stdout, /^TIME .*\n\S+Z +orders +1 +.*400.* +17 +\/posthorn\/send +order\.created\n$/);
});
