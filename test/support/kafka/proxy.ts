import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A TCP proxy that a test makes fail. */
export interface Proxy {
  readonly port: number;
  /** Where new connections go. */
  forwardTo(port: number): void;
  /** `swallow`: requests get through, answers do not. `freeze`: nothing moves, as when a machine hangs. */
  mode(mode: 'pass' | 'swallow' | 'freeze'): void;
  /** Breaks all connections. */
  cut(): void;
  close(): Promise<void>;
}

export async function startProxy(): Promise<Proxy> {
  let target = 0;
  let mode: 'pass' | 'swallow' | 'freeze' = 'pass';
  const pairs = new Set<readonly [Socket, Socket]>();

  const server = createServer((client) => {
    const upstream = connect({ port: target, host: '127.0.0.1' });
    const pair = [client, upstream] as const;
    pairs.add(pair);
    client.on('data', (chunk) => void upstream.write(chunk));
    upstream.on('data', (chunk) => {
      if (mode !== 'swallow') client.write(chunk);
    });
    for (const socket of pair) {
      if (mode === 'freeze') socket.pause();
      socket.on('error', () => {});
      socket.on('close', () => {
        pairs.delete(pair);
        for (const one of pair) one.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const cut = (): void => {
    for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    forwardTo: (port) => {
      target = port;
    },
    mode: (next) => {
      mode = next;
      for (const socket of [...pairs].flat()) {
        if (mode === 'freeze') socket.pause();
        else socket.resume();
      }
    },
    cut,
    close: async () => {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
