import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { ByteReader } from '../../../broker/log/kafka/byte-reader.ts';

/**
 * A proxy before one Kafka node that can act as the coordinator does which answers every commit with NOT_COORDINATOR,
 * although it leads the group in all else: fetches, heartbeats and joins get through.
 */
export interface RefusingProxy {
  readonly port: number;
  forwardTo(port: number): void;
  /** Refuses the commits of every group's present generation; those of the next one get through again. */
  refuseCommits(): void;
  /** How many commits were refused, and heartbeats that got through meanwhile. */
  readonly refusedCommits: number;
  readonly heartbeats: number;
  close(): Promise<void>;
}

const api = { offsetCommit: 8, heartbeat: 12 } as const;
const notCoordinator = 16;

export async function startRefusingProxy(): Promise<RefusingProxy> {
  let target = 0;
  /** By group: the last generation that committed, and the last one that may not any more. */
  const generations = new Map<string, number>();
  const refused = new Map<string, number>();
  const counts = { commits: 0, heartbeats: 0 };
  const sockets = new Set<Socket>();

  const answerTo = (request: Buffer): Buffer | null => {
    const reader = new ByteReader(request);
    reader.skip(4);
    const apiKey = reader.int16();
    if (apiKey === api.heartbeat && refused.size > 0) counts.heartbeats++;
    if (apiKey !== api.offsetCommit) return null;
    const commit = readCommit(reader);
    const last = refused.get(commit.group);
    if (last !== undefined && commit.generation <= last) {
      counts.commits++;
      return refusal(commit);
    }
    generations.set(commit.group, commit.generation);
    return null;
  };

  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    let rest = Buffer.alloc(0);
    client.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (let size = sizeOf(rest); size !== null; size = sizeOf(rest)) {
        const request = rest.subarray(0, size);
        rest = rest.subarray(size);
        const answer = answerTo(request);
        if (answer === null) upstream.write(request);
        else client.write(answer);
      }
    });
    upstream.on('data', (chunk) => client.write(chunk));
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    forwardTo: (port) => {
      target = port;
    },
    refuseCommits: () => {
      for (const [group, generation] of generations) refused.set(group, generation);
    },
    get refusedCommits() {
      return counts.commits;
    },
    get heartbeats() {
      return counts.heartbeats;
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** The size of the first request with its length, or null while it is not complete. */
function sizeOf(bytes: Buffer): number | null {
  if (bytes.length < 4) return null;
  const size = 4 + bytes.readInt32BE(0);
  return bytes.length < size ? null : size;
}

interface CommitRequest {
  readonly version: number;
  readonly correlationId: number;
  readonly group: string;
  readonly generation: number;
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[];
}

/** Versions 2 to 5, behind the key of the API. */
function readCommit(reader: ByteReader): CommitRequest {
  const version = reader.int16();
  if (version < 2 || version > 5) throw new Error(`a commit of version ${version} can't be read here`);
  const correlationId = reader.int32();
  reader.string(); // the client's id
  const group = reader.string();
  const generation = reader.int32();
  reader.string(); // the member's id
  if (version < 5) reader.int64(); // how long it is to be kept
  const topics = list(reader, () => ({
    topic: reader.string(),
    partitions: list(reader, () => {
      const partition = reader.int32();
      reader.int64();
      reader.string();
      return partition;
    }),
  }));
  return { version, correlationId, group, generation, topics };
}

function list<T>(reader: ByteReader, read: () => T): T[] {
  return Array.from({ length: reader.int32() }, read);
}

function refusal({ version, correlationId, topics }: CommitRequest): Buffer {
  const body = [
    int32(correlationId),
    ...(version >= 3 ? [int32(0)] : []),
    int32(topics.length),
    ...topics.flatMap(({ topic, partitions }) => [
      int16(Buffer.byteLength(topic)),
      Buffer.from(topic),
      int32(partitions.length),
      ...partitions.flatMap((partition) => [int32(partition), int16(notCoordinator)]),
    ]),
  ];
  const bytes = Buffer.concat(body);
  return Buffer.concat([int32(bytes.length), bytes]);
}

function int16(number: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(number);
  return bytes;
}

function int32(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(number);
  return bytes;
}
