import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { embeddedUnderTest } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { until } from '../support/until.ts';

const bin = fileURLToPath(new URL('../../bin/posthorn.js', import.meta.url));

const eventHead = 'ce-specversion: 1.0\r\nce-type: test\r\nce-source: /test\r\nce-id: 1\r\n';

t.test('when its log has failed for good the process ends with 1, to be started again', async (t) => {
  const log = await embeddedUnderTest(t);
  const posthorn = await startPosthorn(log.args);
  t.teardown(() => posthorn.kill());
  // A sender that takes its time, for which the shutdown waits a little.
  const slow = connect(Number(new URL(posthorn.url).port), '127.0.0.1');
  t.teardown(() => slow.destroy());
  slow.on('error', () => {});
  slow.write(`POST /default/default HTTP/1.1\r\nHost: posthorn\r\n${eventHead}Content-Length: 9\r\n\r\nhalf`);
  await until(() => slow.bytesWritten > 0, 'it is sent');

  // From now on whatever the process writes to a file fails, and not for want of room.
  execFileSync('prlimit', ['--pid', String(posthorn.pid), '--fsize=0']);
  const beganMs = performance.now();
  const quick = connect(Number(new URL(posthorn.url).port), '127.0.0.1');
  quick.write(`POST /default/default HTTP/1.1\r\nHost: posthorn\r\n${eventHead}Content-Length: 0\r\n\r\n`);
  t.match(await text(quick), /^HTTP\/1\.1 503 /);
  let readiness = '';
  await until(async () => {
    readiness = await (await fetch(`${posthorn.adminUrl}/readyz`)).text();
    return readiness.includes('has failed');
  }, 'it says why it is not ready');
  t.match(readiness, /the log in \S+ has failed/);
  t.equal(await posthorn.exited, 1);
  // The shutdown timeout is 25 s, but nothing that comes could be kept.
  t.ok(performance.now() - beganMs < 15_000, 'it waits for the slow sender only for a moment');
  const fatal = posthorn.lines.filter((line) => line.level === 'fatal');
  t.match(fatal, [{ msg: 'the log has failed', err: { code: 'LOG_UNAVAILABLE' } }]);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} during the start ends it with 0, though Kafka takes no connection`, async (t) => {
    const posthorn = serve(t, '127.0.0.1:1');
    await until(() => posthorn.shown().includes('is tried again'), 'it tries to connect');
    await endsAt(t, posthorn, signal);
  });
}

t.test('SIGTERM during the start ends it with 0, though Kafka is silent', async (t) => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket));
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const address = silent.address();
  const posthorn = serve(t, `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
  await until(() => sockets.length > 0, 'it is connected', 30_000);
  await endsAt(t, posthorn, 'SIGTERM');
});

t.test('a Kafka that is not there ends the start with 1 and one sentence that names its addresses', async (t) => {
  const posthorn = serve(t, '127.0.0.1:1,127.0.0.1:2');
  t.equal(await posthorn.exited, 1);
  t.match(
    await posthorn.stderr,
    /^posthorn: can't connect to Kafka at 127\.0\.0\.1:1, 127\.0\.0\.1:2: connect ECONNREFUSED 127\.0\.0\.1:\d\n$/,
  );
});

/** `posthorn serve` on a Kafka that it will not get to use. */
function serve(t: Test, brokers: string) {
  const args = [bin, 'serve', '--port', '0', '--admin-port', '0', '--log-level', 'debug', '--kafka', brokers];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    shown += chunk;
  });
  const exited = once(child, 'close').then(([code]) => code as number | null);
  return { child, exited, shown: () => shown, stderr: text(child.stderr) };
}

async function endsAt(t: Test, posthorn: ReturnType<typeof serve>, signal: NodeJS.Signals): Promise<void> {
  const beganMs = performance.now();
  posthorn.child.kill(signal);
  t.equal(await posthorn.exited, 0);
  t.ok(performance.now() - beganMs < 5_000, 'at once');
  t.equal(await posthorn.stderr, '');
}

t.test('lines that nobody can take hold nothing up: the disk of the log is full', async (t) => {
  const log = await embeddedUnderTest(t);
  const adminPort = await freePort();
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [bin, 'serve', ...log.args, '--port', '0', '--admin-port', String(adminPort)], {
    stdio: ['ignore', full, 'ignore'],
  });
  closeSync(full);
  const exited = once(child, 'exit');
  t.teardown(() => child.kill('SIGKILL'));
  const isReady = () =>
    fetch(`http://127.0.0.1:${adminPort}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  await until(isReady, 'posthorn serve to be ready', 30_000);
  child.kill('SIGTERM');
  t.same(await exited, [0, null]);
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
