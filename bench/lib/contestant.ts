import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { retryTopicsMax } from '../../broker/trigger/registry-plan.ts';
import { startPosthorn } from '../../test/support/posthorn.ts';
import { applyTo, triggerYaml } from '../../test/support/triggers.ts';
import { until } from '../../test/support/until.ts';
import { kafkaLog, openKafka } from './logs.ts';

/** What takes part in a measurement: a way from a topic to a subscriber. */
export interface Contestant {
  readonly name: string;
  /**
   * Makes the topic and what else is needed, for one measurement; nothing reads yet.
   * @param url of the subscriber
   */
  prepare(brokers: string, url: string): Promise<Prepared>;
}

export interface Prepared {
  /** The topic that it will read. */
  readonly topic: string;
  /**
   * Starts reading, from the topic's beginning or where the last run was stopped.
   * @param nodeArgs of Node itself, for one that runs on it
   */
  start(nodeArgs: readonly string[]): Promise<Running>;
}

export interface Running {
  /** Resolves with the ids of its processes when all of them take part. */
  ready(): Promise<readonly number[]>;
  /** Resolves when it is gone. */
  readonly ended: Promise<unknown>;
  /** As its user ends it. */
  stop(): Promise<unknown>;
  kill(): Promise<void>;
}

export interface PosthornOptions {
  readonly name?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** How many processes; 1 if absent. */
  readonly workers?: number;
  /** How many triggers beside the one that wants the events; they want other types. */
  readonly otherTriggers?: number;
}

const appliedAtOnce = 2_500;

export function posthorn(options: PosthornOptions = {}): Contestant {
  const { name = 'Posthorn', annotations = {}, workers = 1, otherTriggers = 0 } = options;
  return {
    name,
    async prepare(brokers, url) {
      const { args, topic } = kafkaLog(brokers);
      const exact = (type: string) => `[{ exact: { type: ${type} } }]`;
      const filter = otherTriggers > 0 ? { filters: exact('com.example.bench') } : {};
      const manifests = [
        triggerYaml('bench', url, { annotations, ...filter }),
        ...Array.from({ length: otherTriggers }, (_, i) =>
          triggerYaml(`other-${i}`, url, { filters: exact(`com.example.other.${i}`) }),
        ),
      ];
      // Applied first and filled while nobody reads, so that the whole topic waits when the clock starts.
      const groups = ['--retry-groups', String(Math.ceil(manifests.length / retryTopicsMax))];
      const before = await startPosthorn([...args, ...groups]);
      try {
        for (let first = 0; first < manifests.length; first += appliedAtOnce) {
          await applyTo(before.adminUrl, ...manifests.slice(first, first + appliedAtOnce));
        }
      } finally {
        await before.stop();
      }
      const several = workers > 1 ? ['--workers', String(workers)] : [];
      return { topic, start: (nodeArgs) => running([...args, ...groups, ...several], workers, nodeArgs) };
    },
  };
}

async function running(args: readonly string[], workers: number, nodeArgs: readonly string[]): Promise<Running> {
  const { pid, adminUrl, lines, exited, stop, kill } = await startPosthorn(args, {}, { awaitsReady: false, nodeArgs });
  const others = () => lines.filter(({ msg }) => /^worker \d+ is running$/.test(String(msg)));
  return {
    async ready() {
      const isReady = async () => others().length === workers - 1 && (await fetch(`${adminUrl}/readyz`)).ok;
      await until(isReady, 'posthorn serve to be ready', 120_000);
      return [pid, ...others().map((line) => Number(line.pid))];
    },
    ...{ ended: exited, stop, kill },
  };
}

/** kafkajs alone has timers of less than no time (its issue 1751), of which Node warns. */
export const kafkajsQuiet = '--disable-warning=TimeoutNegativeWarning';

/** The bare loop of the same libraries. */
export const bareLoop = command('bare loop', [
  process.execPath,
  kafkajsQuiet,
  fileURLToPath(new URL('../bare-loop.ts', import.meta.url)),
]);

/** A peer that is told by its environment: TOPIC, GROUP, URL, BROKERS. */
export function peer(shellCommand: string): Contestant {
  return command('peer', ['sh', '-c', `exec ${shellCommand}`]);
}

function command(name: string, [file = '', ...args]: readonly string[]): Contestant {
  return {
    name,
    async prepare(brokers, url) {
      const group = `bench${randomBytes(4).toString('hex')}`;
      const topic = `${group}.events`;
      const log = await openKafka(brokers);
      await log.ensureTopics([topic], { partitions: 8, retentionMs: null, maxMessageBytes: 1_114_112 });
      await log.close();
      return {
        topic,
        async start() {
          const env = { ...process.env, TOPIC: topic, GROUP: group, URL: url, BROKERS: brokers };
          const child = spawn(file, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
          const ended = once(child, 'exit');
          const end = async (signal: NodeJS.Signals): Promise<void> => {
            child.kill(signal);
            await ended;
          };
          const ready = async (): Promise<number[]> => [child.pid ?? 0];
          return { ready, ended, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
        },
      };
    },
  };
}
