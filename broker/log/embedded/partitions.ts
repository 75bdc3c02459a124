import { UnknownTopicError } from '../errors.ts';
import type { TopicPartition, TopicSpec } from '../log.ts';
import type { StoredTopic } from './protocol.ts';

/** A partition as the main thread knows it. As no other process writes the log, this is what is on the disk. */
export interface Partition extends TopicPartition {
  readonly id: number;
  start: number;
  end: number;
  /** Called when the partition has grown. */
  readonly readers: Set<() => void>;
}

export interface Topic {
  readonly id: number;
  readonly name: string;
  readonly spec: TopicSpec;
  readonly partitions: readonly Partition[];
}

/** All topics and partitions of the log. */
export class Topics {
  readonly #topics = new Map<string, Topic>();
  readonly #partitions = new Map<number, Partition>();

  add({ id, name, spec, partitions }: StoredTopic): Topic {
    const own = partitions.map((one) => ({ ...one, topic: name, readers: new Set<() => void>() }));
    const topic = { id, name, spec, partitions: own };
    this.#topics.set(name, topic);
    for (const partition of own) this.#partitions.set(partition.id, partition);
    return topic;
  }

  remove(topic: Topic): void {
    this.#topics.delete(topic.name);
    for (const { id } of topic.partitions) this.#partitions.delete(id);
  }

  names(): string[] {
    return [...this.#topics.keys()];
  }

  find(name: string): Topic | undefined {
    return this.#topics.get(name);
  }

  /** @throws UnknownTopicError */
  get(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new UnknownTopicError(name);
    return topic;
  }

  /** @throws UnknownTopicError also where only the partition is unknown */
  partition(name: string, number: number): Partition {
    const partition = this.get(name).partitions[number];
    if (partition === undefined) throw new UnknownTopicError(`${name} with a partition ${number}`);
    return partition;
  }

  byId(id: number): Partition | undefined {
    return this.#partitions.get(id);
  }
}

/** The partition has got the records up to `end`: tells its readers. */
export function grow(partition: Partition, end: number): void {
  if (end <= partition.end) return;
  partition.end = end;
  for (const reader of partition.readers) reader();
}
