import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { ExampleError } from './options.ts';

/** A port that something is to listen on. */
export interface PortWish {
  readonly owner: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** How to choose another. */
  readonly choice: string;
}

const host = '127.0.0.1';

/**
 * The ports, in the order of the wishes, all found free at one moment.
 * @throws ExampleError naming every port that is taken and how to choose another
 */
export async function claimPorts(wishes: readonly PortWish[]): Promise<number[]> {
  const held: Server[] = [];
  const ports: number[] = [];
  const taken: string[] = [];
  for (const { owner, port, choice } of wishes) {
    const server = createServer();
    try {
      server.listen(port, host);
      await once(server, 'listening');
      held.push(server);
      ports.push(portOf(server));
    } catch (error) {
      const why = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE' ? 'in use' : 'not to be had';
      taken.push(`Port ${port} of ${owner} is ${why}. Choose another by ${choice}.`);
    }
  }
  for (const server of held) server.close();
  await Promise.all(held.map((server) => once(server, 'close')));
  if (taken.length > 0) throw new ExampleError(taken.join('\n'));
  return ports;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
