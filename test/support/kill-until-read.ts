import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { PosthornProcess } from './posthorn.ts';
import { until } from './until.ts';

/** The state of a server's own socket in /proc/net/tcp. */
const listening = '0A';

/**
 * SIGKILL, and waits until the servers on this machine that the process was connected to have read all that it had sent
 * them: a server closes its end of a connection after it has dealt with the requests on it. Until then a request of a
 * process that is dead may come.
 */
export async function killUntilRead({
  pid,
  signal,
  kill,
}: Pick<PosthornProcess, 'pid' | 'signal' | 'kill'>): Promise<void> {
  // Stopped first, so that it opens no connection between a look at those that it has and its end.
  signal('SIGSTOP');
  await until(() => stateOf(pid) === 'T', `process ${pid} to stop`);
  await until(() => serverEndsOf(pid).every(({ inode }) => inode !== '0'), 'its connections to be accepted');
  const ends = serverEndsOf(pid);
  const servers = pidsListeningAt(new Set(ends.map(({ localPort }) => localPort)));
  await kill();
  const isOpen = (): boolean => {
    const held = new Set(servers.flatMap(socketsOf));
    return ends.some(({ inode }) => held.has(inode));
  };
  const ports = [...new Set(ends.map(({ localPort }) => localPort))];
  await until(() => !isOpen(), `the servers at ${ports.join(' and ')} to have read what the dead had sent`, 120_000);
}

interface TcpSocket {
  readonly localPort: number;
  readonly remotePort: number;
  readonly state: string;
  /** `0` until the server has accepted it. */
  readonly inode: string;
}

/** The other ends of the connections that a process has made to servers on this machine. */
function serverEndsOf(pid: number): TcpSocket[] {
  const all = tcpSockets();
  const served = new Set(all.filter(({ state }) => state === listening).map(({ localPort }) => localPort));
  const own = new Set(socketsOf(pid));
  const made = all.filter(({ inode, remotePort }) => own.has(inode) && served.has(remotePort));
  const names = new Set(made.map(({ localPort, remotePort }) => `${remotePort} ${localPort}`));
  return all.filter(({ localPort, remotePort }) => names.has(`${localPort} ${remotePort}`));
}

function tcpSockets(): TcpSocket[] {
  return [...rowsOf('tcp'), ...rowsOf('tcp6')].map(([, local = '', remote = '', state = '', , , , , , inode = '']) => ({
    ...{ localPort: portOf(local), remotePort: portOf(remote), state, inode },
  }));
}

function portOf(address: string): number {
  return Number.parseInt(address.split(':').at(-1) ?? '', 16);
}

function pidsListeningAt(ports: ReadonlySet<number>): number[] {
  const servers = tcpSockets().filter(({ localPort, state }) => state === listening && ports.has(localPort));
  const inodes = new Set(servers.map(({ inode }) => inode));
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
  return pids.filter((pid) => socketsOf(pid).some((inode) => inodes.has(inode)));
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

/** The letter of proc(5); the process's name before it stands in brackets. */
function stateOf(pid: number): string | undefined {
  return /\) (\w) /.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1];
}

/** The rows of a table below /proc/net, without its title, in columns; none where the kernel has no such table. */
function rowsOf(table: string): string[][] {
  try {
    const lines = readFileSync(`/proc/net/${table}`, 'latin1').split('\n').slice(1);
    return lines.filter((line) => line !== '').map((line) => line.trim().split(/\s+/));
  } catch {
    return [];
  }
}
