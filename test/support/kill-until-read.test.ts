import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { killUntilRead } from './kill-until-read.ts';

t.test('what a process sent that was killed is waited for until it is read', async (t) => {
  const server = await startServer(t);
  const { connection, client } = await connected(t, server);
  await assertWaitsFor(t, client, connection);
});

t.test('so it is where the connection was reset, since the process had not read all itself', async (t) => {
  const server = await startServer(t);
  const { connection, client } = await connected(t, server);
  await new Promise<unknown>((resolve) => connection.write('not read', resolve));
  await assertWaitsFor(t, client, connection);
});

t.test('what others have sent to the same server is not waited for', async (t) => {
  const server = await startServer(t);
  const other = await connected(t, server);
  const { connection, client } = await connected(t, server);
  connection.on('error', () => {}).resume();
  const otherExited = once(other.client, 'exit');
  other.client.kill('SIGKILL');
  await otherExited;
  await t.resolves(killUntilRead(processOf(client)));
  t.notOk(other.connection.destroyed);
});

async function startServer(t: Test): Promise<Server> {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return server;
}

/** A process that has sent something to a server here, which does not read it yet. */
async function connected(t: Test, server: Server): Promise<{ connection: Socket; client: ChildProcess }> {
  const { port } = server.address() as AddressInfo;
  // It reads nothing, and lives until it is killed.
  const script = `
    const socket = require('net').connect(${port}, '127.0.0.1', () => {
      socket.pause().write('sent', () => console.log('sent'));
    });
    setInterval(() => {}, 60_000);`;
  const client = spawn(process.execPath, ['-e', script], { env: {}, stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => client.kill('SIGKILL'));
  const [[connection]] = (await Promise.all([once(server, 'connection'), once(client.stdout, 'data')])) as [
    [Socket],
    [],
  ];
  t.teardown(() => connection.destroy());
  return { connection, client };
}

function processOf(client: ChildProcess): Parameters<typeof killUntilRead>[0] {
  return {
    pid: client.pid ?? 0,
    signal: (name) => void client.kill(name),
    async kill() {
      const exited = once(client, 'exit');
      client.kill('SIGKILL');
      await exited;
    },
  };
}

async function assertWaitsFor(t: Test, client: ChildProcess, connection: Socket): Promise<void> {
  let isRead = false;
  connection.on('error', () => {});
  connection.once('close', () => {
    isRead = true;
  });
  const exited = once(client, 'exit');
  const waited = killUntilRead(processOf(client)).then(() => t.ok(isRead, 'nothing is left to read'));
  await exited;
  // As many looks as it takes to find nothing where it looks wrongly.
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  connection.resume();
  await waited;
}
