import { once } from 'node:events';
import { createServer, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { PosthornError } from '../runtime/errors.ts';

/** The two settings that an address comes from, by the names of their options. */
export interface ListenSettings {
  readonly host: 'host' | 'admin-host';
  readonly port: 'port' | 'admin-port';
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Listens, and where that fails says which setting is to be changed, and to what. @throws PosthornError */
export async function listening<T>(settings: ListenSettings, address: Address, listen: () => Promise<T>): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    const isSystems = error instanceof Error && 'code' in error;
    throw (isSystems ? refusalOf(String(error.code), settings, address, error) : null) ?? error;
  }
}

/** Listens for a moment, alone. @throws Error of node:net if another process has the address */
export async function claim({ host, port }: Address): Promise<void> {
  const server = createServer();
  server.listen({ host, port });
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}

function refusalOf(
  code: string,
  settings: ListenSettings,
  { host, port }: Address,
  cause: Error,
): PosthornError | null {
  if (code === 'EADDRINUSE') {
    const choose = `choose another with --${settings.port}, or 0 for any that is free`;
    return new PosthornError('PORT_IN_USE', `${urlHost(host)}:${port} is in use by another process; ${choose}`, {
      cause,
    });
  }
  if (code === 'EACCES') {
    const right = 'those below 1024 are for root, or need the capability CAP_NET_BIND_SERVICE; choose one from 1024 on';
    const message = `--${settings.port} ${port}: this user has no permission to listen on the port (EACCES); ${right}`;
    return new PosthornError('PORT_REFUSED', message, { cause });
  }
  const problem = hostProblems[code];
  if (problem === undefined) return null;
  const right = `name one of this machine's (${ownAddresses().join(', ')}), or 0.0.0.0 or :: for all of them`;
  return new PosthornError('HOST_REFUSED', `--${settings.host} ${host}: ${problem} (${code}); ${right}`, { cause });
}

const hostProblems: Readonly<Record<string, string>> = {
  ENOTFOUND: 'no address of this name is known',
  EAI_AGAIN: "the name can't be looked up just now",
  EADDRNOTAVAIL: 'it is not an address of this machine',
  EAFNOSUPPORT: 'this machine has no addresses of its kind',
  EINVAL: 'it is not an address that can be listened on',
};

/** But those of a single link, which are no address without the name of its interface. */
function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.filter(({ scopeid }) => !scopeid).map(({ address }) => address);
}

/** The host as it stands in a URL. */
export function urlHost(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}
