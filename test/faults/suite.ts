import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startGuardian } from '../support/kafka/guardian.ts';
import { applyTo } from '../support/triggers.ts';
import { until } from '../support/until.ts';
import { type Account, account, type Kill } from './account.ts';
import type { FaultName, LogKind } from './catalog.ts';
import { startEmbeddedStage } from './embedded-stage.ts';
import { evidenceLines } from './evidence-lines.ts';
import { startKafkaStage } from './kafka-stage.ts';
import { FaultLedger } from './ledger.ts';
import { LineNotes } from './line-notes.ts';
import type { Life } from './member.ts';
import { play, seconds } from './play.ts';
import { schedule } from './schedule.ts';
import { startSender } from './sender.ts';
import { livesOf, type Stage, type StageOptions } from './stage.ts';
import { Subscriber } from './subscriber.ts';
import { subscriberFaults } from './subscriber-faults.ts';
import { faultTriggers, manifestOf } from './triggers.ts';

export interface SuiteOptions {
  readonly log: LogKind;
  readonly seed: number;
  readonly durationMs: number;
  readonly faults: readonly FaultName[];
  readonly eventsPerSecond: number;
  /** The path of libfaketime, or null where clocks don't jump. */
  readonly fakeTime: string | null;
  /** A file system of its own, which can be filled; null: none is. */
  readonly disk: string | null;
  /** The folder in which the log lines of all Posthorns are kept, or null. */
  readonly keep: string | null;
  readonly signal: AbortSignal;
  readonly tell: (line: string) => void;
}

export interface SuiteResult {
  readonly account: Account;
  /** What is known of each event with which something is wrong. */
  readonly evidence: readonly string[];
  /** What became of consumer groups, a line each that begins with the time, in order. */
  readonly history: readonly string[];
  /** When the first event was sent, milliseconds since 1970. */
  readonly startedMs: number;
  /** After the last fault, until all had arrived, in milliseconds; null: patience ended before that. */
  readonly drainedMs: number | null;
  /** Ends of processes that nobody asked for, and those asked for by SIGTERM that went wrong. */
  readonly badEnds: readonly Life[];
  /** What was printed by starts that failed, as they may while Kafka can't be reached. */
  readonly failedStarts: readonly string[];
  /** Requests whose content was not that of the event that they named. */
  readonly corrupt: readonly string[];
  /** By message, how often a Posthorn logged an error. */
  readonly errors: ReadonlyMap<string, number>;
}

/**
 * How long nothing may arrive, after the last fault, until what has not arrived never will, in milliseconds: a breaker
 * that is open may have 5 minutes between two probes.
 */
const patienceMs = 330_000;

/**
 * Runs events through Posthorn under faults, and holds every event to its arrivals.
 * @throws the signal's reason
 */
export async function runSuite(options: SuiteOptions): Promise<SuiteResult> {
  const { log, signal, fakeTime, disk } = options;
  const directory = await mkdtemp(path.join(tmpdir(), 'posthorn-faults-'));
  const guardian = startGuardian(directory);
  const ledger = new FaultLedger(faultTriggers.map(({ name }) => name));
  const notes = new LineNotes(ledger, options.keep, log);
  const kills: Kill[] = [];
  const subscribers = faultTriggers.map(
    ({ name, answersAfterMs }) => new Subscriber({ trigger: name, ledger, answersAfterMs }),
  );
  let stage: Stage | undefined;
  try {
    await Promise.all(subscribers.map((subscriber) => subscriber.start()));
    const stageOptions: StageOptions = {
      ...{ directory, guardian, ledger, triggers: faultTriggers, fakeTime },
      onLine: (slot, line) => notes.take(slot, line),
      onKill: (kill) => void kills.push(kill),
    };
    stage =
      log === 'kafka'
        ? await startKafkaStage(stageOptions)
        : await startEmbeddedStage({ ...stageOptions, disk: disk ?? directory });
    signal.throwIfAborted();
    await begin(stage, subscribers);
    const startedMs = Date.now();
    const drainedMs = await runEvents(options, stage, ledger, subscribers);
    const members = [...stage.members, ...stage.guests];
    await Promise.all(members.map((member) => member.leave()));
    signal.throwIfAborted();
    const triggers = faultTriggers.map(({ name, lane }) => ({
      ...{ name, isOrdered: lane === 'ordered', isAlone: lane !== 'shared' },
    }));
    const remains = await stage.remains();
    const evidence = { ledger, triggers, kills, ...remains };
    const result = account(evidence);
    const lines = evidenceLines(evidence, result);
    if (options.keep !== null) {
      await writeFile(path.join(options.keep, `${log}.txt`), [...lines, '', ...remains.history, ''].join('\n'));
    }
    return {
      account: result,
      evidence: lines,
      history: remains.history,
      ...{ startedMs, drainedMs, corrupt: ledger.corrupt, errors: notes.errors },
      badEnds: livesOf(members).filter(isBadEnd),
      failedStarts: members.flatMap((member) => member.failedStarts),
    };
  } finally {
    const members = [...(stage?.members ?? []), ...(stage?.guests ?? [])];
    await Promise.all(members.map((member) => member.kill(() => {})));
    await stage?.close();
    await Promise.all(subscribers.map((subscriber) => subscriber.close()));
    notes.close();
    await guardian.stop();
  }
}

async function begin({ members }: Stage, subscribers: readonly Subscriber[]): Promise<void> {
  await Promise.all(members.map((member) => member.start()));
  for (const { adminUrl } of members) {
    await until(async () => (await fetch(`${adminUrl}/readyz`)).ok, 'all Posthorns are ready', 60_000);
  }
  const manifests = faultTriggers.map((trigger, index) => manifestOf(trigger, subscribers[index]?.url ?? ''));
  await applyTo(members[0]?.adminUrl ?? '', ...manifests);
}

/** @returns how long the last events took to arrive, or null if they didn't */
async function runEvents(
  { log, seed, durationMs, faults, eventsPerSecond, signal, tell }: SuiteOptions,
  stage: Stage,
  ledger: FaultLedger,
  subscribers: readonly Subscriber[],
): Promise<number | null> {
  const urls = (): string[] => stage.members.map(({ url }) => url).filter((url) => url !== '');
  const moody = faultTriggers.flatMap(({ name, isMoody }, index) => {
    const subscriber = subscribers[index];
    return isMoody && subscriber ? [[name, subscriber] as const] : [];
  });
  const sender = startSender({ ledger, urls, eventsPerSecond });
  try {
    const actions = { ...stage.actions, ...subscriberFaults(moody) };
    const ends = delay(durationMs, undefined, { signal }).catch(() => {});
    await Promise.all([play(schedule({ seed, durationMs, log, faults }), { actions, durationMs, signal, tell }), ends]);
    signal.throwIfAborted();
    tell(`${seconds(durationMs)} no more faults, and no new events: ${ledger.acceptedCount} were accepted`);
    await heal(stage, subscribers);
    await sender.finish();
    return await drained(stage, ledger, signal);
  } finally {
    sender.abort();
  }
}

async function heal(stage: Stage, subscribers: readonly Subscriber[]): Promise<void> {
  await Promise.all(subscribers.map((subscriber) => subscriber.behave('good')));
  for (const member of [...stage.members, ...stage.guests]) {
    member.resume();
    member.setClock(0);
  }
  await stage.heal();
  await Promise.all(stage.guests.map((member) => member.leave()));
  await Promise.all(stage.members.map((member) => member.start()));
}

async function drained(stage: Stage, ledger: FaultLedger, signal: AbortSignal): Promise<number | null> {
  const beganMs = performance.now();
  let progressMs = beganMs;
  for (let arrived = -1; performance.now() - progressMs < patienceMs; await delay(500, undefined, { signal })) {
    if (ledger.firstArrivals > arrived) {
      arrived = ledger.firstArrivals;
      progressMs = performance.now();
    }
    const outstanding = new Map(faultTriggers.map(({ name }) => [name, ledger.outstanding(name)]));
    const isNothingLeft = [...outstanding.values()].every((events) => events.length === 0);
    if (isNothingLeft || (await stage.isDone(outstanding))) return performance.now() - beganMs;
  }
  return null;
}

function isBadEnd({ how, exitCode }: Life): boolean {
  return how === 'crash' || (how === 'leave' && exitCode !== 0);
}
