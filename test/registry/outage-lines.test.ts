import { pino } from 'pino';
import t from 'tap';
import { LogUnavailableError } from '../../broker/log/errors.ts';
import type { Log } from '../../broker/log/log.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { openLog, pass, shared, startBrokers } from './setup.ts';

t.test(
  'a registry and brokers that can not be read are lines once, but not in an outage, which the log tells',
  async (t) => {
    const clock = new ManualClock();
    const lines: string[] = [];
    const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line).msg) });
    let error: LogUnavailableError | null = null;
    const line = shared(await openLog(t));
    const log = new Proxy(line.log, {
      get: (target, property) =>
        error !== null && (property === 'ends' || property === 'listTopics')
          ? () => Promise.reject(error)
          : Reflect.get(target, property),
    }) as Log;
    await startBrokers(t, log, { clock, logger });

    error = new LogUnavailableError('connect ECONNREFUSED', { isOutage: true });
    await pass(clock, 20_000, line);
    error = null;
    await pass(clock, 10_000, line);
    t.strictSame(lines, []);

    error = new LogUnavailableError('TOPIC_AUTHORIZATION_FAILED');
    await pass(clock, 20_000, line);
    error = null;
    await pass(clock, 10_000, line);
    t.strictSame(
      lines.toSorted(),
      [
        'brokers are looked for again',
        "can't look for brokers: TOPIC_AUTHORIZATION_FAILED",
        'registry is read again',
        "registry can't be read, trying on: TOPIC_AUTHORIZATION_FAILED",
      ].toSorted(),
    );
  },
);
