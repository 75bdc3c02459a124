import { copyFileSync, globSync, linkSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import type { KafkaCluster } from '../support/kafka/cluster.ts';

/**
 * The segment files of the retry topics, with all records that they ever had. Kafka no longer hands out those that
 * Posthorn has trimmed; they lie in the file of the segment that is being written. But a replica that was away while
 * the others were trimmed throws its own away once it is back, and after some restarts no replica has them. So a
 * broker's files are kept under another name before it is started again.
 */
export class KeptSegments {
  readonly #cluster: Pick<KafkaCluster, 'dataDirectories'>;
  readonly #retryPrefix: string;
  readonly #directory: string;
  readonly #files = new Map<string, string[]>();
  #count = 0;

  /** @param directory on the file system of the brokers, gone with it */
  constructor(cluster: Pick<KafkaCluster, 'dataDirectories'>, retryPrefix: string, directory: string) {
    this.#cluster = cluster;
    this.#retryPrefix = retryPrefix;
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  /** To be called while the broker is down. */
  keep(node: number): void {
    const from = this.#cluster.dataDirectories[node] ?? '';
    for (const file of globSync(`${this.#retryPrefix}*-0/*.log`, { cwd: from })) {
      const topic = path.dirname(file).slice(0, -'-0'.length);
      const kept = path.join(this.#directory, `${++this.#count}.log`);
      linkOrCopy(path.join(from, file), kept);
      this.#files.set(topic, [...(this.#files.get(topic) ?? []), kept]);
    }
  }

  /** Those that were kept, oldest first, and those that the brokers have now. */
  filesOf(topic: string): string[] {
    const now = this.#cluster.dataDirectories.flatMap((directory) => {
      const its = path.join(directory, `${topic}-0`);
      return globSync('*.log', { cwd: its }).map((file) => path.join(its, file));
    });
    return [...(this.#files.get(topic) ?? []), ...now];
  }
}

/** A link costs nothing; it is refused where the broker runs as another user. */
function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
