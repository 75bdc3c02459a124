import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Test } from 'tap';
import { type Brokers, openBrokers } from '../../broker/brokers.ts';
import { openEmbeddedLog } from '../../broker/log/embedded/embedded-log.ts';
import { LogUnavailableError } from '../../broker/log/errors.ts';
import type { Log } from '../../broker/log/log.ts';
import type { TopicSettings } from '../../broker/topics.ts';
import { parseManifests } from '../../broker/trigger/manifest.ts';
import type { AppliedChange, ApplyRequest } from '../../broker/trigger/registry-plan.ts';
import { type Clock, systemClock } from '../../runtime/clock.ts';
import type { ManualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';

export const topicSettings: TopicSettings = {
  partitions: 2,
  eventsRetentionMs: 86_400_000,
  deadLetterRetentionMs: 86_400_000,
  eventMaxBytes: 65_536,
};

export const silent = pino({ level: 'silent' });

/** An embedded log in a directory of its own; gone with the test. */
export async function openLog(t: Test): Promise<Log> {
  const directory = await mkdtemp(join(tmpdir(), 'posthorn-registry-'));
  const log = await openEmbeddedLog({ directory, logger: silent, reserveBytes: 65_536 });
  t.teardown(async () => {
    await log.close();
    await rm(directory, { recursive: true, force: true });
  });
  return log;
}

/** The log as a process among several sees it, and the line to it, which the test can cut. */
export interface SharedLog {
  readonly log: Log;
  isCut: boolean;
  /** Nothing is answered until it is false again. */
  isHeld: boolean;
  /** Calls without an answer as yet. */
  readonly waiting: number;
}

/** The same records, with the rules for a log that other processes write to as well. */
export function shared(inner: Log): SharedLog {
  const line = { isCut: false, isHeld: false, waiting: 0 };
  const call = async (run: () => unknown): Promise<unknown> => {
    if (line.isCut) throw new LogUnavailableError('the test has cut the line');
    line.waiting++;
    try {
      await until(() => !line.isHeld, 'the test lets the log answer');
      return await run();
    } finally {
      line.waiting--;
    }
  };
  const log = new Proxy(inner, {
    get(target, property) {
      if (property === 'sharedByProcesses') return true;
      const value = Reflect.get(target, property);
      return typeof value === 'function' ? (...args: unknown[]) => call(() => value.apply(target, args)) : value;
    },
  });
  return Object.assign(line, { log });
}

/** Lets time pass in steps, and between them the logs answer whatever they were asked. */
export async function pass(clock: ManualClock, ms: number, ...lines: readonly SharedLog[]): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= 50) {
    await clock.advance(Math.min(50, leftMs));
    await until(() => lines.every((line) => line.waiting === 0), 'the log has answered');
  }
}

export async function startBrokers(
  t: Test,
  log: Log,
  {
    clock = systemClock,
    logger = silent,
    prefix = 'posthorn',
  }: { clock?: Clock; logger?: typeof silent; prefix?: string } = {},
): Promise<Brokers> {
  const brokers = await openBrokers({ log, prefix, clock, logger, topicSettings, retryGroups: 1 });
  t.teardown(() => brokers.close());
  return brokers;
}

export interface TriggerText {
  readonly namespace?: string;
  readonly broker?: string;
  readonly type?: string;
  readonly uri?: string;
  readonly annotations?: string;
  /** More of the spec, indented by two. */
  readonly spec?: string;
}

export function triggerText(
  name: string,
  { namespace, broker, type, uri, annotations, spec = '' }: TriggerText = {},
): string {
  return `apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: ${name}
${namespace === undefined ? '' : `  namespace: ${namespace}\n`}${annotations === undefined ? '' : `  annotations:\n    ${annotations}\n`}spec:
${broker === undefined ? '' : `  broker: ${broker}\n`}${type === undefined ? '' : `  filter:\n    attributes:\n      type: ${type}\n`}  subscriber:
    uri: ${uri ?? 'http://handler.example/'}
${spec}`;
}

export function brokerText(name: string, { annotations = '', spec = '' } = {}): string {
  return `apiVersion: eventing.knative.dev/v1
kind: Broker
metadata:
  name: ${name}
${annotations === '' ? '' : `  annotations:\n    ${annotations}\n`}${spec === '' ? '' : `spec:\n${spec}`}`;
}

/** Applies texts, each as a file of its own, on behalf of `apply` unless `more` says otherwise. */
export function applyTexts(
  brokers: Brokers,
  texts: readonly string[],
  more: Partial<ApplyRequest> = {},
): Promise<readonly AppliedChange[]> {
  const parsed = texts.map((text, i) => parseManifests(text, `${i + 1}.yaml`));
  const problems = parsed.flatMap((one) => one.problems);
  if (problems.length > 0) throw new Error(`the test's own manifest: ${JSON.stringify(problems)}`);
  return brokers.apply({ documents: parsed.flatMap((one) => one.documents), owner: 'apply', ...more });
}

/** `kind namespace/name action` of each change. */
export function summary(changes: readonly AppliedChange[]): string[] {
  return changes.map(({ kind, namespace, name, action }) => `${kind} ${namespace}/${name} ${action}`);
}
