import { once } from 'node:events';
import { request } from 'node:http';
import { AssignerProtocol, Kafka, logLevel } from 'kafkajs';
import t from 'tap';
import { brokerTopics } from '../../broker/topics.ts';
import type { Readiness } from '../../console/admin.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { kafkaUnderTest } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { startSink } from '../support/sink.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

/** `posthorn serve --workers 2`: two processes, one command. */

t.test('workers share the port, the groups and one page of metrics, and are started again', async (t) => {
  const log = await kafkaUnderTest();
  const arrived = new Map<string, number>();
  const sink = await startSink(({ headers }) => {
    const id = String(headers['ce-id']);
    arrived.set(id, (arrived.get(id) ?? 0) + 1);
    return {};
  });
  t.teardown(() => sink.close());
  const posthorn = await startPosthorn([...log.args, '--workers', '2']);
  t.teardown(() => posthorn.kill());
  await applyTo(posthorn.adminUrl, triggerYaml('all', sink.url));
  const { sharedGroup } = brokerTopics(log.prefix, { namespace: 'default', name: 'default' });
  await until(async () => (await partitionsOf(sharedGroup)).join() === '4,4', 'both to have half of the partitions');

  const accepted = () => metric(posthorn.adminUrl, 'posthorn_events_accepted_total');
  t.strictSame(
    await Promise.all(ids(1, 100).map((id) => post(posthorn, id))),
    ids(1, 100).map(() => 202),
  );
  await until(() => arrived.size === 100, 'all to arrive');
  t.equal(await accepted(), 100);
  await until(async () => (await metric(posthorn.adminUrl, 'posthorn_deliveries_total')) === 100, 'all to be counted');
  t.equal(await metric(posthorn.adminUrl, 'posthorn_build_info'), 1, 'what is not to be summed is not');
  const fresh = () => metric(posthorn.adminUrl, 'posthorn_registry_fresh');
  await until(async () => (await fresh()) === 1, 'both to have measured that their triggers are current');

  // The chance that the kernel gives none of them to the worker is 1 in 2^40.
  posthorn.signal('SIGSTOP');
  const answers: number[] = [];
  const posts = ids(101, 40).map(async (id) => void answers.push(await post(posthorn, id)));
  await until(() => answers.length > 0, 'the worker to accept events while the first process stands still');
  posthorn.signal('SIGCONT');
  await Promise.all(posts);
  t.strictSame(
    answers,
    ids(101, 40).map(() => 202),
  );
  await until(() => arrived.size === 140, 'all to arrive');
  t.equal(await accepted(), 140);

  // Its answer to what was asked before may still be on its way.
  process.kill(workerPids(posthorn)[0] ?? 0, 'SIGSTOP');
  const page = accepted();
  await until(
    async () => (await readiness(posthorn)) !== null,
    'it is not ready while its worker stands still',
    15_000,
  );
  t.match(await readiness(posthorn), ['worker 2: it has not answered for 5s']);
  t.equal(await page, 140, 'the page of metrics comes all the same');
  process.kill(workerPids(posthorn)[0] ?? 0, 'SIGCONT');
  await until(async () => (await readiness(posthorn)) === null, 'it is ready again');

  process.kill(workerPids(posthorn)[0] ?? 0, 'SIGKILL');
  await until(async () => !(await fetch(`${posthorn.adminUrl}/readyz`)).ok, 'it is not ready without its worker');
  t.equal(await accepted(), 140, 'what the worker has counted stays');
  await until(() => workerPids(posthorn).length === 2, 'the worker is started again');
  t.match(
    posthorn.lines.filter(({ level }) => level === 'error'),
    [{ worker: 2, msg: 'worker 2 has ended (SIGKILL); it is started again in 1s' }],
  );
  await until(async () => (await fetch(`${posthorn.adminUrl}/readyz`)).ok, 'it is ready again', 60_000);
  t.strictSame(
    await Promise.all(ids(141, 40).map((id) => post(posthorn, id))),
    ids(141, 40).map(() => 202),
  );
  await until(() => arrived.size === 180, 'all to arrive', 60_000);
  t.equal(await accepted(), 180);

  await posthorn.kill();
  await until(
    () => !isAlive(workerPids(posthorn)[1] ?? 0),
    'the worker ends with the first process, however that ends',
  );
});

t.test(
  'in each process a small buffer keeps no more than 8 KiB of memory, and V8 waits longer with collections',
  async (t) => {
    const log = await kafkaUnderTest();
    // The first piece may be older than what is measured, so many are taken.
    const preload = `import v8 from 'node:v8';
    import { syncBuiltinESMExports } from 'node:module';
    const { setFlagsFromString } = v8;
    const flags = [];
    v8.setFlagsFromString = (flag) => { flags.push(flag); setFlagsFromString(flag); };
    syncBuiltinESMExports();
    process.on('exit', () => {
      for (let n = 0; n < 32; n++) Buffer.allocUnsafe(4000);
      console.error(JSON.stringify({ told: { flags, keptBytes: Buffer.allocUnsafe(9).buffer.byteLength } }));
    });`;
    const nodeArgs = ['--import', `data:text/javascript,${encodeURIComponent(preload)}`];
    const posthorn = await startPosthorn([...log.args, '--workers', '2'], {}, { nodeArgs });
    t.teardown(() => posthorn.kill());
    await until(() => workerPids(posthorn).length === 1, 'the worker to run');
    await posthorn.stop();
    const told = () => posthorn.lines.flatMap((line) => line.told ?? []);
    await until(() => told().length === 2, 'both to tell');
    const each = { flags: ['--incremental-marking-soft-trigger=70'], keptBytes: 8_192 };
    t.strictSame(told(), [each, each]);
  },
);

t.test('a permission reaches the worker that waits for it, whichever process is called', async (t) => {
  const log = await kafkaUnderTest();
  const callbacks = new Set<string>();
  const delivered = new Set<string>();
  let [hangs, hanging] = [false, 0];
  const sink = await startSink(({ method, path, headers }) => {
    if (method === 'OPTIONS') callbacks.add(String(headers['webhook-request-callback']));
    else if (hangs) return new Promise(() => hanging++);
    else delivered.add(path);
    return {};
  });
  t.teardown(() => sink.close());
  const callback = ['--webhook-origin', 'posthorn.example', '--webhook-callback-url', 'http://posthorn.example'];
  const options = ['--workers', '2', '--shutdown-timeout', '1s', ...callback];
  const posthorn = await startPosthorn([...log.args, ...options], { POSTHORN_LOG_LEVEL: 'debug' });
  t.teardown(() => posthorn.kill());
  const names = ['a', 'b', 'c', 'd'];
  const annotations = { 'posthorn.dev/webhook-handshake': 'true' };
  await applyTo(posthorn.adminUrl, ...names.map((name) => triggerYaml(name, `${sink.url}/${name}`, { annotations })));
  await until(() => callbacks.size === 2 * names.length, 'each process to ask for each trigger');
  const answers = await Promise.all(
    [...callbacks].map((url) => send(posthorn, 'GET', url.slice('http://posthorn.example'.length), {})),
  );
  t.strictSame(
    answers,
    answers.map(() => 200),
  );
  await Promise.all(ids(1, 40).map((id) => post(posthorn, id)));
  await until(() => delivered.size === names.length, 'what was permitted is delivered');

  hangs = true;
  await Promise.all(ids(41, 40).map((id) => post(posthorn, id)));
  await until(() => hanging >= 3 * names.length, 'both to have some under way');
  // As Ctrl-C in a terminal, which tells both.
  const [worker = 0] = workerPids(posthorn);
  process.kill(worker, 'SIGINT');
  posthorn.signal('SIGINT');
  t.equal(await posthorn.exited, 0);
  t.notOk(isAlive(worker), 'it has waited for its worker');
  t.match(
    posthorn.lines.filter(({ msg }) => msg === 'stopped'),
    [{ worker: 2 }, { level: 'info' }],
    'which had the time to leave its groups',
  );
  const unclean = posthorn.lines.filter(({ level }) => level === 'error' || level === 'fatal');
  t.strictSame(unclean, []);
});

/** Why it is not ready; null: it is. */
async function readiness({ adminUrl }: PosthornProcess): Promise<readonly string[] | null> {
  const { ready, reasons } = (await (await fetch(`${adminUrl}/readyz`)).json()) as Readiness;
  return ready ? null : reasons;
}

function ids(first: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(first + index));
}

/** On a connection of its own. @returns the status */
function post(posthorn: PosthornProcess, id: string): Promise<number> {
  return send(posthorn, 'POST', '/', { 'ce-specversion': '1.0', 'ce-type': 'test', 'ce-source': '/test', 'ce-id': id });
}

async function send(
  { url }: PosthornProcess,
  method: string,
  path: string,
  headers: Record<string, string>,
): Promise<number> {
  const sending = request(`${url}${path}`, { method, headers, agent: false });
  sending.end();
  const [response] = await once(sending, 'response');
  response.resume();
  return response.statusCode;
}

function workerPids({ lines }: PosthornProcess): number[] {
  return lines.filter(({ msg }) => msg === 'worker 2 is running').map(({ pid }) => Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** How many partitions of its topics each member of the group has, ascending. */
async function partitionsOf(group: string): Promise<number[]> {
  const admin = new Kafka({ brokers: await kafkaBrokers(), logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    const { groups } = await admin.describeGroups([group]);
    return (groups[0]?.members ?? [])
      .map(({ memberAssignment }) => {
        const assignment = AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment ?? {};
        return Object.values(assignment).flat().length;
      })
      .sort((a, b) => a - b);
  } finally {
    await admin.disconnect();
  }
}
