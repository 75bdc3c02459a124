import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { openKafkaLog } from '../../broker/log/kafka/kafka-log.ts';
import { startPosthorn } from '../../test/support/posthorn.ts';
import { silent } from '../../test/support/silent.ts';
import { applyTo, triggerYaml } from '../../test/support/triggers.ts';

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
  /** Starts reading, from the topic's beginning. */
  start(): Promise<Running>;
}

export interface Running {
  readonly pid: number;
  kill(): Promise<void>;
}

export interface PosthornOptions {
  readonly name?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export function posthorn({ name = 'Posthorn', annotations = {} }: PosthornOptions = {}): Contestant {
  return {
    name,
    async prepare(brokers, url) {
      const prefix = `bench${randomBytes(4).toString('hex')}`;
      const args = ['--kafka', brokers, '--prefix', prefix, '--replication-factor', '1'];
      // Applied first and filled while nobody reads, so that the whole topic waits when the clock starts.
      const before = await startPosthorn(args);
      await applyTo(before.adminUrl, triggerYaml('bench', url, { annotations }));
      await before.stop();
      return {
        topic: `${prefix}.default.default`,
        start: () => startPosthorn(args, {}, { awaitsReady: false }),
      };
    },
  };
}

/** The bare loop of the same libraries. */
export const bareLoop = command('bare loop', [
  process.execPath,
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
      const log = await openKafkaLog({ brokers: brokers.split(','), replicationFactor: 1, logger: silent });
      await log.ensureTopic(topic, { partitions: 8, retentionMs: null, maxMessageBytes: 1_114_112 });
      await log.close();
      return {
        topic,
        async start() {
          const env = { ...process.env, TOPIC: topic, GROUP: group, URL: url, BROKERS: brokers };
          const child = spawn(file, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
          const exited = once(child, 'exit');
          return {
            pid: child.pid ?? 0,
            async kill() {
              child.kill('SIGKILL');
              await exited;
            },
          };
        },
      };
    },
  };
}
