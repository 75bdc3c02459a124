/** The faults of the suite: what each is, on which logs it can come, and how one instance of it is drawn. */

export type LogKind = 'embedded' | 'kafka';

/** Faults of one family come one after the other, those of different families at the same time. */
export type Family = 'process' | 'broker' | 'network' | 'subscriber' | 'disk' | 'clock';

export interface Fault {
  readonly family: Family;
  readonly logs: readonly LogKind[];
  /** For people, after "at 12 s". */
  readonly what: string;
  /** How long it lasts, in milliseconds, at least and at most. */
  readonly lastsMs: readonly [number, number];
}

const both = ['embedded', 'kafka'] as const;
const kafka = ['kafka'] as const;
const embedded = ['embedded'] as const;

export const faults = {
  kill: { family: 'process', logs: both, what: 'SIGKILL of a Posthorn, started again after', lastsMs: [500, 12_000] },
  stop: { family: 'process', logs: both, what: 'SIGSTOP of a Posthorn, SIGCONT after', lastsMs: [1_000, 18_000] },
  restart: { family: 'process', logs: both, what: 'SIGTERM of a Posthorn, started again after', lastsMs: [500, 5_000] },
  join: { family: 'process', logs: kafka, what: 'one more Posthorn joins, and leaves after', lastsMs: [4_000, 15_000] },
  'torn-write': {
    family: 'process',
    logs: embedded,
    what: 'SIGKILL, half a transaction behind the end of the write-ahead log, started again after',
    lastsMs: [500, 3_000],
  },
  'broker-kill': {
    family: 'broker',
    logs: kafka,
    what: 'SIGKILL of a broker, started after',
    lastsMs: [1_000, 15_000],
  },
  'coordinator-kill': {
    family: 'broker',
    logs: kafka,
    what: 'SIGKILL of the broker that coordinates the shared group, started after',
    lastsMs: [1_000, 15_000],
  },
  leaders: { family: 'broker', logs: kafka, what: 'all leaders move to the next broker', lastsMs: [2_000, 6_000] },
  partitions: {
    family: 'broker',
    logs: kafka,
    what: 'the events topic gets one more partition',
    lastsMs: [500, 2_000],
  },
  latency: { family: 'network', logs: kafka, what: 'latency to Kafka, for', lastsMs: [2_000, 15_000] },
  'cut-request': {
    family: 'network',
    logs: kafka,
    what: 'connections to Kafka cut within requests, for',
    lastsMs: [1_000, 5_000],
  },
  'cut-answer': {
    family: 'network',
    logs: kafka,
    what: 'connections to Kafka cut within answers, for',
    lastsMs: [1_000, 5_000],
  },
  swallow: { family: 'network', logs: kafka, what: "Kafka's answers are lost, for", lastsMs: [1_000, 12_000] },
  'black-hole': {
    family: 'network',
    logs: kafka,
    what: 'nothing passes to or from Kafka, for',
    lastsMs: [1_000, 25_000],
  },
  hang: { family: 'subscriber', logs: both, what: 'a subscriber does not answer, for', lastsMs: [2_000, 12_000] },
  dribble: {
    family: 'subscriber',
    logs: both,
    what: 'a subscriber answers byte by byte, for',
    lastsMs: [2_000, 12_000],
  },
  reset: { family: 'subscriber', logs: both, what: 'a subscriber resets connections, for', lastsMs: [2_000, 10_000] },
  huge: { family: 'subscriber', logs: both, what: 'a subscriber answers with 100 MB, for', lastsMs: [1_000, 4_000] },
  garbage: { family: 'subscriber', logs: both, what: 'a subscriber sends invalid HTTP, for', lastsMs: [2_000, 10_000] },
  redirect: { family: 'subscriber', logs: both, what: 'a subscriber redirects, for', lastsMs: [500, 2_000] },
  refuse: { family: 'subscriber', logs: both, what: 'a subscriber answers 503, for', lastsMs: [2_000, 10_000] },
  flap: { family: 'subscriber', logs: both, what: 'a subscriber comes and goes, for', lastsMs: [3_000, 12_000] },
  'full-disk': { family: 'disk', logs: embedded, what: 'the disk is full, for', lastsMs: [1_000, 8_000] },
  clock: { family: 'clock', logs: both, what: "a Posthorn's clock jumps, and back after", lastsMs: [2_000, 15_000] },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;

export const faultNames = Object.keys(faults) as FaultName[];

export function faultsOn(log: LogKind, names: readonly FaultName[] = faultNames): FaultName[] {
  return names.filter((name) => (faults[name] as Fault).logs.includes(log));
}
