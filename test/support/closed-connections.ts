import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { until } from './until.ts';

/** States in /proc/net/tcp: the other side has closed, and ours has not; a server's own socket. */
const closeWait = '08';
const listening = '0A';

/**
 * Resolves once the servers at these addresses have read all that processes which were killed had sent them: a server
 * closes its end of a connection after it has dealt with the requests on it. Until then a request of a process that is
 * dead may come, even one whose connection the server has not accepted yet.
 *
 * @param addresses that end with `:PORT`
 */
export async function untilAllIsRead(addresses: readonly string[]): Promise<void> {
  const ports = addresses.map((address) => Number(address.split(':').at(-1)));
  const servers = pidsListeningAt(ports);
  const isHalfOpen = (): boolean =>
    tcpSockets().some(({ localPort, state }) => state === closeWait && ports.includes(localPort));
  await until(
    () => !isHalfOpen() && !servers.some(holdsResetSocket),
    `${addresses.join(' and ')} have read what the dead have sent`,
    60_000,
  );
}

interface TcpSocket {
  readonly localPort: number;
  readonly state: string;
  readonly inode: string;
}

function tcpSockets(): TcpSocket[] {
  return [...rowsOf('tcp'), ...rowsOf('tcp6')].map(([, local = '', , state = '', , , , , , inode = '']) => ({
    localPort: Number.parseInt(local.split(':').at(-1) ?? '', 16),
    state,
    inode,
  }));
}

function pidsListeningAt(ports: readonly number[]): number[] {
  const own = tcpSockets().filter(({ localPort, state }) => state === listening && ports.includes(localPort));
  const inodes = new Set(own.map(({ inode }) => inode));
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return pids.filter((pid) => socketsOf(pid).some((inode) => inodes.has(inode)));
}

/** A connection that was reset is in none of the kernel's tables any more, while the process may not know it yet. */
function holdsResetSocket(pid: number): boolean {
  const held = socketsOf(pid);
  const known = new Set([
    ...['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) => rowsOf(table).map((row) => row[9])),
    ...rowsOf('unix').map((row) => row[6]),
  ]);
  return held.some((inode) => !known.has(inode));
}

/** Inodes of the sockets that a process has open; none of a process that has ended. */
function socketsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).flatMap((fd) => /^socket:\[(\d+)\]$/.exec(linkOf(`${folder}/${fd}`))?.[1] ?? []);
  } catch {
    return [];
  }
}

/** Empty for a file that was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** The rows of a table below /proc/net, without its title, in columns; none where the kernel has no such table. */
function rowsOf(table: string): string[][] {
  try {
    const lines = readFileSync(`/proc/net/${table}`, 'latin1').split('\n').slice(1);
    return lines.map((line) => line.trim().split(/\s+/));
  } catch {
    return [];
  }
}
