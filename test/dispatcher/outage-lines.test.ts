import { pino } from 'pino';
import t from 'tap';
import { LogUnavailableError } from '../../broker/log/errors.ts';
import { Gatherer } from '../../broker/log/gather.ts';
import type { Log } from '../../broker/log/log.ts';
import { DurableAppender } from '../../dispatcher/append.ts';
import { Dispatcher } from '../../dispatcher/dispatcher.ts';
import { HandshakeCallbacks } from '../../dispatcher/handshake/callbacks.ts';
import { reportingOf } from '../../dispatcher/lane/lane.ts';
import { LaneReader } from '../../dispatcher/lane/reader.ts';
import type { TakenRecord } from '../../dispatcher/lane/taken-record.ts';
import { systemClock } from '../../runtime/clock.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { noSecrets } from '../../runtime/secrets.ts';
import { openLog, startBrokers } from '../registry/setup.ts';
import { LaneDouble } from '../support/lane-double.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { logRecord, ScriptedLog } from '../support/scripted-log.ts';
import { until } from '../support/until.ts';

/** The log tells of an outage in lines of its own; what it befalls here would be a line for each part of it. */

const outage = new LogUnavailableError('connect ECONNREFUSED', { isOutage: true });
const refused = new LogUnavailableError('TOPIC_AUTHORIZATION_FAILED');
const [debug, warn] = [20, 40];

function recording() {
  const lines: { level: number; msg: string }[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { logger, lines, levels: () => lines.map(({ level }) => level) };
}

t.test('an append that is repeated is a line, but not in an outage', async (t) => {
  const { logger, levels } = recording();
  const clock = new ManualClock();
  const errors = [outage, refused];
  const append = async () => {
    const error = errors.shift();
    if (error) throw error;
  };
  const appender = new DurableAppender({ append } as unknown as Gatherer, clock, logger, new AbortController().signal);
  const appended = appender.append('topic', { key: null, value: null, headers: {} });
  await clock.advance(1_000);
  await appended;
  t.strictSame(levels(), [debug, warn]);
});

t.test('a commit that is repeated is a line, but not in an outage', async (t) => {
  const { logger, lines, levels } = recording();
  const clock = new ManualClock();
  const script = new ScriptedLog();
  const taken: TakenRecord[] = [];
  const reader = new LaneReader({
    ...{ log: script.log, clock, logger, group: 'group', startAt: 'earliest' },
    window: { recordsMax: 10, bytesMax: 10_000 },
    onRecord: (record) => taken.push(record),
    onRevoked: () => {},
    onLost: () => {},
    onDisturbed: () => {},
  });
  await reader.start(['events']);
  script.assign([{}]);
  script.offer([logRecord(0)]);
  taken[0]?.settle();
  script.refuseCommits = outage;
  await clock.advance(100);
  t.strictSame(levels(), [debug]);
  lines.length = 0;
  script.refuseCommits = refused;
  await clock.advance(100);
  t.strictSame(levels(), [warn]);
});

t.test('a disturbed consumer is a line, but not in an outage; it is counted in either case', async (t) => {
  const { logger, levels } = recording();
  const options = { ...new LaneDouble([]).options, logger };
  const { onDisturbed } = reportingOf(options, 'group', () => []);
  onDisturbed(outage);
  onDisturbed(refused);
  t.strictSame(levels(), [debug, warn]);
  t.match(await options.metrics.registry.metrics(), /consumer_disturbances_total\{group="group"\} 2/);
});

t.test('lanes that can not be brought up are a line, but not in an outage', async (t) => {
  const { logger, lines } = recording();
  const log = await openLog(t);
  const brokers = await startBrokers(t, log);
  let error = outage;
  const failing = new Proxy(log, {
    get: (target, property) =>
      property === 'consume' || property === 'listTopics'
        ? () => Promise.reject(error)
        : Reflect.get(target, property).bind(target),
  }) as Log;
  const dispatcher = new Dispatcher({
    ...{ log: failing, brokers, gatherer: new Gatherer({ log, clock: systemClock }), clock: systemClock, logger },
    ...{ metrics: createMetrics(), window: { recordsMax: 100, bytesMax: 100_000 }, waitingEventsMax: 10 },
    ...{ responseBytesMax: 1_000, retryGroups: 1, secrets: noSecrets },
    ...{ origin: 'posthorn.test', schemas: null, callbacks: new HandshakeCallbacks(null) },
  });
  t.teardown(() => dispatcher.close(AbortSignal.abort()));
  dispatcher.start();
  const levels = () => lines.filter(({ msg }) => msg.startsWith('lanes not brought up')).map(({ level }) => level);
  await until(() => levels().length > 0, 'it has failed');
  error = refused;
  await until(() => levels().at(-1) !== debug, 'it has failed for another reason');
  t.strictSame([...new Set(levels())], [debug, warn]);
});
