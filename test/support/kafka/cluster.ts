import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startGuardian } from './guardian.ts';
import { findKafkaRuntime, type KafkaRuntime } from './runtime.ts';

export interface KafkaCluster {
  /** `host:port` of every node, the dead ones too. */
  readonly brokers: readonly string[];
  /** By node, the port of each listener that was asked for beside the one of `brokers`. */
  readonly listenerPorts: readonly Readonly<Record<string, number>>[];
  /** By node, the folder of its log: a folder `topic-partition` each, with segment files of record batches. */
  readonly dataDirectories: readonly string[];
  /** SIGKILL, as a machine that loses its power. Resolves when the process is gone. */
  kill(node: number): Promise<void>;
  /** Starts a killed node again, on its old data and port. Resolves when it takes connections. */
  restart(node: number): Promise<void>;
  /** Ends all nodes and removes their data. Idempotent. */
  stop(): Promise<void>;
}

/** A node that can't start in this time, in milliseconds, never will: 3 s on an idle machine, 20 on a busy one. */
const startTimeoutMs = 90_000;

/** By name, the port that clients are told for each node. */
type Listeners = Readonly<Record<string, readonly number[]>>;

export interface ClusterOptions {
  /** 1 to 3; 1 if absent. */
  readonly nodes?: number;
  /** Added to each node's server.properties. */
  readonly properties?: Readonly<Record<string, string | number>>;
  /**
   * More listeners for clients: by name, the port of 127.0.0.1 that clients of each node's listener are told to use,
   * where a proxy stands.
   */
  readonly listeners?: Listeners;
  /**
   * Each node's heap, from the start, half of it for young objects: where many topics want more than a test does, and
   * where its pauses for garbage are to be rare. What it may grow to is 512 MiB if absent.
   */
  readonly heapMib?: number;
}

/**
 * Starts a cluster of a real Kafka, each node broker and controller, on free ports of 127.0.0.1. It ends with this
 * process, however that ends.
 */
export async function startKafkaCluster({ nodes = 1, ...options }: ClusterOptions = {}): Promise<KafkaCluster> {
  const runtime = await findKafkaRuntime();
  // Someone else may take a port between our look and Kafka's start.
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryCluster(runtime, nodes, options);
    } catch (error) {
      if (attempt === 3 || !String(error).includes('in use')) throw error;
    }
  }
}

interface Node {
  readonly id: number;
  readonly port: number;
  readonly controllerPort: number;
  readonly listeners: Readonly<Record<string, { readonly port: number; readonly toldPort: number }>>;
  readonly directory: string;
  process: ChildProcess | null;
  starts: number;
}

async function tryCluster(
  runtime: KafkaRuntime,
  size: number,
  { properties = {}, listeners = {}, heapMib }: ClusterOptions,
): Promise<KafkaCluster> {
  const directory = await mkdtemp(path.join(tmpdir(), 'posthorn-kafka-'));
  const guardian = startGuardian(directory);
  const names = Object.keys(listeners);
  const ports = await freePorts(size * (2 + names.length));
  const nodes: Node[] = Array.from({ length: size }, (_, index) => ({
    id: index + 1,
    port: ports.pop() ?? 0,
    controllerPort: ports.pop() ?? 0,
    listeners: Object.fromEntries(
      names.map((name) => [name, { port: ports.pop() ?? 0, toldPort: listeners[name]?.[index] ?? 0 }]),
    ),
    directory: path.join(directory, `node-${index + 1}`),
    process: null,
    starts: 0,
  }));

  const format = async (node: Node): Promise<void> => {
    await mkdir(node.directory);
    const file = path.join(node.directory, 'server.properties');
    await writeFile(file, serverProperties(node, nodes, properties));
    const child = launch(node, 'format', ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', file]);
    const [code] = await once(await child, 'close');
    if (code !== 0) throw new Error(`Kafka's storage could not be formatted: ${await logOf(node, 'format')}`);
  };

  const launch = async (node: Node, log: string, java: readonly string[]): Promise<ChildProcess> => {
    const name = `${path.basename(directory)}-${node.id}-${++node.starts}`;
    const output = await open(path.join(node.directory, `${log}.log`), 'a');
    const [command, ...args] = runtime.command(name, directory, java);
    // A group of its own: Ctrl-C in the terminal goes to the test runner, which decides.
    const child = spawn(command, args, { stdio: ['ignore', output.fd, output.fd], detached: true });
    await Promise.race([once(child, 'spawn'), once(child, 'error').then(([error]) => Promise.reject(error))]);
    await output.close();
    const victim = runtime.kind === 'docker' ? `container ${name}` : `process ${child.pid}`;
    guardian.watch(victim);
    child.once('exit', () => guardian.forget(victim));
    return child;
  };

  const start = async (node: Node): Promise<void> => {
    const heap = heapMib === undefined ? [] : [`-Xmx${heapMib}m`, `-Xms${heapMib}m`, `-Xmn${heapMib >> 1}m`];
    const java = [...heap, 'kafka.Kafka', path.join(node.directory, 'server.properties')];
    const child = await launch(node, 'server', java);
    node.process = child;
    const deadlineMs = performance.now() + startTimeoutMs;
    while (!(await accepts(node.port))) {
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadlineMs) {
        throw new Error(`Kafka did not start: ${await logOf(node, 'server')}`);
      }
      await delay(50);
    }
  };

  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => end(node, 'SIGTERM')));
    await guardian.stop();
    await rm(directory, { recursive: true, force: true });
  };

  try {
    await Promise.all(nodes.map(format));
    await Promise.all(nodes.map(start));
  } catch (error) {
    await stop();
    throw error;
  }
  const at = (index: number): Node => {
    const node = nodes[index];
    if (node === undefined) throw new Error(`the cluster has no node ${index}`);
    return node;
  };
  return {
    brokers: nodes.map((node) => `127.0.0.1:${node.port}`),
    listenerPorts: nodes.map((node) =>
      Object.fromEntries(Object.entries(node.listeners).map(([name, { port }]) => [name, port])),
    ),
    dataDirectories: nodes.map(dataDirectory),
    kill: async (index) => {
      const node = at(index);
      if (runtime.kind === 'docker') await killContainer(`${path.basename(directory)}-${node.id}-${node.starts}`);
      await end(node, 'SIGKILL');
    },
    restart: (index) => start(at(index)),
    stop,
  };
}

function dataDirectory(node: Node): string {
  return path.join(node.directory, 'data');
}

/** Any 16 bytes in base64url do; clusters of different tests never meet. */
const clusterId = 'cG9zdGhvcm4tdGVzdHM0Lg';

function serverProperties(
  node: Node,
  nodes: readonly Node[],
  properties: Readonly<Record<string, string | number>>,
): string {
  const replicas = nodes.length;
  const more = Object.entries(node.listeners);
  const each = (address: (name: string, ports: { port: number; toldPort: number }) => string): string =>
    more.map(([name, ports]) => `,${address(name, ports)}`).join('');
  const settings: Record<string, string | number> = {
    'process.roles': 'broker,controller',
    'node.id': node.id,
    'controller.quorum.voters': nodes.map(({ id, controllerPort }) => `${id}@127.0.0.1:${controllerPort}`).join(','),
    listeners:
      `PLAINTEXT://127.0.0.1:${node.port},CONTROLLER://127.0.0.1:${node.controllerPort}` +
      each((name, { port }) => `${name}://127.0.0.1:${port}`),
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${node.port}${each((name, { toldPort }) => `${name}://127.0.0.1:${toldPort}`)}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': `PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT${each((name) => `${name}:PLAINTEXT`)}`,
    'log.dirs': dataDirectory(node),
    'auto.create.topics.enable': 'false',
    'group.initial.rebalance.delay.ms': 0,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 5,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': Math.min(2, replicas),
    'transaction.state.log.num.partitions': 2,
    // Retention and trimming are seen within a test's patience, and a topic takes little disk.
    'log.retention.check.interval.ms': 1_000,
    'log.initial.task.delay.ms': 1_000,
    'log.index.size.max.bytes': 65_536,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'log.cleaner.dedupe.buffer.size': 4_194_304,
    'group.min.session.timeout.ms': 1_000,
    'controlled.shutdown.enable': replicas > 1 ? 'true' : 'false',
    ...properties,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

async function end(node: Node, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const child = node.process;
  node.process = null;
  if (child === null || child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  // A broker on its way out may wait for others that are gone already.
  const patience = setTimeout(() => child.kill('SIGKILL'), 5_000);
  await exited;
  clearTimeout(patience);
}

async function killContainer(name: string): Promise<void> {
  await once(spawn('docker', ['kill', name], { stdio: 'ignore' }), 'exit');
}

async function logOf(node: Node, log: string): Promise<string> {
  const text = await readFile(path.join(node.directory, `${log}.log`), 'utf8').catch(() => '');
  return text.slice(-4_000);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * Ports below those that systems give to outgoing connections (32768 on Linux), so that nobody has a killed node's
 * port when it comes back.
 */
async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = 12_000 + Math.floor(Math.random() * 20_000);
    if (await canListen(port)) ports.add(port);
  }
  return [...ports];
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
