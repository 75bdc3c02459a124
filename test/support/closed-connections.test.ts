import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { untilAllIsRead } from './closed-connections.ts';

t.test('what a process sent that was killed is waited for until it is read', async (t) => {
  const { address, connection, client } = await connected(t);
  await killed(client);
  await assertWaitsFor(t, address, connection);
});

t.test('so it is where the connection was reset, since the process had not read all itself', async (t) => {
  const { address, connection, client } = await connected(t);
  await new Promise<unknown>((resolve) => connection.write('not read', resolve));
  await killed(client);
  await assertWaitsFor(t, address, connection);
});

t.test('a connection that is not closed is not waited for', async (t) => {
  const { address } = await connected(t);
  await t.resolves(untilAllIsRead([address]));
});

/** A process that has sent something to a server here, which does not read it yet. */
async function connected(t: Test): Promise<{ address: string; connection: Socket; client: ChildProcess }> {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
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
  t.teardown(() => {
    connection.destroy();
    server.close();
  });
  return { address: `127.0.0.1:${port}`, connection, client };
}

async function killed(client: ChildProcess): Promise<void> {
  const exited = once(client, 'exit');
  client.kill('SIGKILL');
  await exited;
}

async function assertWaitsFor(t: Test, address: string, connection: Socket): Promise<void> {
  let isRead = false;
  connection.on('error', () => {});
  connection.once('close', () => {
    isRead = true;
  });
  const waited = untilAllIsRead([address]).then(() => t.ok(isRead, 'nothing is left to read'));
  // As many looks as it takes to find nothing where it looks wrongly.
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  connection.resume();
  await waited;
}
