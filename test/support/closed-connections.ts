import { readFileSync } from 'node:fs';
import { kafkaBrokers } from './kafka.ts';
import { until } from './until.ts';

/** Of /proc/net/tcp: the other side has closed, and ours has not. */
const closeWait = '08';

/**
 * Resolves once the brokers have read all that processes which were killed had sent them: a broker closes its end of a
 * connection after it has dealt with the requests on it. Until then an append of a process that is dead may come.
 */
export async function untilBrokersHaveReadAll(): Promise<void> {
  const ports = (await kafkaBrokers()).map((broker) => Number(broker.split(':').at(-1)));
  const isHalfOpen = (line: string): boolean => {
    const [, local = '', , state] = line.trim().split(/\s+/);
    return state === closeWait && ports.includes(Number.parseInt(local.split(':').at(-1) ?? '', 16));
  };
  const sockets = (): string[] =>
    ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => readFileSync(file, 'latin1').split('\n').slice(1));
  await until(() => !sockets().some(isHalfOpen), 'the brokers to have read what the dead have sent', 60_000);
}
