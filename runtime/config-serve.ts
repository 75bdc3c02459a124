import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { type Config, readConfig, type Setting, type Settings, settingOptions } from './config.ts';
import {
  baseUrl,
  bytes,
  dnsName,
  duration,
  formatBytes,
  host,
  hostPorts,
  integer,
  type Kind,
  logFormat,
  logLevel,
  oneOf,
  path,
  port,
  retention,
  someOf,
  toggle,
  topicPrefix,
  word,
} from './config-kinds.ts';
import { UsageError } from './errors.ts';
import { fileProblem } from './file-problem.ts';
import type { LogFormat, LogLevel } from './logger.ts';
import { readSecrets, type Secrets, secretVariablePrefix } from './secrets.ts';

const kibibyte = 1_024;
const mebibyte = 1_024 * kibibyte;
const gibibyte = 1_024 * mebibyte;
const secondMs = 1_000;
const hourMs = 3_600 * secondMs;
const dayMs = 24 * hourMs;

/** An amount with its default in words. */
function amount<T>(kind: Kind<T>, fallback: NoInfer<T>, fallbackText: string, help: string): Setting<T> {
  return { kind, fallback, fallbackText, help };
}

function optional<T>(kind: Kind<T>, help: string, more: Partial<Setting<T>> = {}): Setting<T | null> {
  return { kind, fallback: null, help, ...more };
}

function size(min: number, max: number, fallback: number, help: string): Setting<number> {
  return amount(bytes(min, max), fallback, formatBytes(fallback), help);
}

function count(min: number, max: number, fallback: number, help: string): Setting<number> {
  return amount(integer(min, max), fallback, String(fallback), help);
}

/**
 * Every setting of `posthorn serve`, once: its flag, its environment variable, its key in the configuration file, its
 * default and its help all come from here.
 */
const table = {
  triggers: optional(path, 'Directory of Broker and Trigger manifests, applied at start and when they change', {
    placeholder: 'DIR',
  }),
  owner: amount(
    word,
    'directory',
    'directory',
    'Name under which the triggers of that directory are applied; what has left the directory is deleted only if it was applied under this name',
  ),
  log: optional(
    oneOf(['embedded', 'kafka']),
    'Where events are kept: a file of this process, or Kafka (default embedded, or kafka where --kafka is given)',
  ),
  data: { ...amount(path, './.posthorn', './.posthorn', 'Directory of the embedded log'), placeholder: 'DIR' },
  kafka: optional(hostPorts, 'Kafka brokers to begin with', { alias: 'bootstrap-server' }),
  'kafka-tls': amount(toggle, false, 'off', 'Speak TLS to Kafka'),
  'kafka-tls-ca-file': optional(path, "PEM file of the authorities to trust for Kafka, in place of the system's", {
    placeholder: 'FILE',
  }),
  'kafka-sasl-mechanism': optional(
    oneOf(['plain', 'scram-sha-256', 'scram-sha-512']),
    'How to log in to Kafka; needs the user name and the password file',
  ),
  'kafka-sasl-username': optional(word, 'User name for Kafka'),
  'kafka-sasl-password-file': optional(path, 'File that holds the password for Kafka', { placeholder: 'FILE' }),
  prefix: amount(topicPrefix, 'posthorn', 'posthorn', 'What the names of all topics and consumer groups begin with'),
  host: amount(host, '127.0.0.1', '127.0.0.1', 'Address on which events are accepted'),
  port: amount(port, 8080, '8080', 'Port on which events are accepted; 0 for any that is free'),
  'admin-host': amount(
    host,
    '127.0.0.1',
    '127.0.0.1',
    'Address of health, metrics and the admin API; off loopback the API answers only with the token',
  ),
  'admin-port': amount(port, 8081, '8081', 'Port of health, metrics and the admin API; 0 for any that is free'),
  'admin-token-file': optional(path, 'File that holds the token which the admin API then asks for', {
    placeholder: 'FILE',
  }),
  secrets: optional(
    path,
    'Directory with a file for each secret, named as posthorn.dev/sign-with and the webhooks name it; or the variable POSTHORN_SECRET_NAME',
    { placeholder: 'DIR' },
  ),
  webhooks: optional(path, 'YAML file of the webhooks of other services that come in at paths of their own', {
    placeholder: 'FILE',
  }),
  schemas: optional(path, 'Directory of JSON Schemas (.json) that events are held to, read again when they change', {
    placeholder: 'DIR',
  }),
  'schema-registry': optional(baseUrl, 'Where JSON Schemas are fetched from: those whose URLs lie below this one'),
  'webhook-origin': optional(
    dnsName,
    "What subscribers that want a webhook handshake are asked for: a DNS name that stands for this Posthorn (default the machine's name)",
  ),
  'webhook-callback-url': optional(
    baseUrl,
    'Where such subscribers reach the ingress of this process, to give their permission later; absent: nowhere',
  ),
  roles: amount(
    someOf(['ingress', 'dispatcher']),
    new Set(['ingress', 'dispatcher'] as const),
    'both',
    'What this process does: accept events, deliver them, or both',
  ),
  workers: count(
    1,
    64,
    1,
    'Processes on this machine that accept and deliver together, on Kafka; each has the limits below for itself',
  ),
  'event-max-bytes': size(kibibyte, 64 * mebibyte, mebibyte, 'Largest event that is accepted, attributes included'),
  'batch-max-bytes': size(kibibyte, 256 * mebibyte, 8 * mebibyte, 'Largest request with a batch of events'),
  partitions: count(1, 1_000, 8, 'Partitions of the events topics that Posthorn makes'),
  'replication-factor': count(1, 15, 3, 'Copies of each record in the topics that Posthorn makes on Kafka'),
  'events-retention': amount(
    retention(hourMs, 3_650 * dayMs, 'from 1h to 3650d'),
    7 * dayMs,
    '7d',
    'How long events are kept',
  ),
  'dead-letter-retention': amount(
    retention(hourMs, 3_650 * dayMs, 'from 1h to 3650d'),
    30 * dayMs,
    '30d',
    'How long dead letters are kept',
  ),
  'window-records': count(
    16,
    65_536,
    16_384,
    'Records a lane that may be unsettled at once; 16,384 keep a core busy where 4,096 do not',
  ),
  'window-bytes': size(mebibyte, 4 * gibibyte, 64 * mebibyte, 'Bytes a lane that may be unsettled at once'),
  'waiting-events-max': count(1, 65_536, 1_024, 'Events a trigger that may wait in memory for its subscriber'),
  'response-max-bytes': size(kibibyte, 64 * mebibyte, mebibyte, "Bytes of a subscriber's answer that are read"),
  'retry-groups': count(
    1,
    100,
    1,
    'Consumer groups over which the retry topics of a broker are spread, one for each 1,000 triggers',
  ),
  'shutdown-timeout': amount(
    duration(0, hourMs, 'up to 1h'),
    30 * secondMs,
    '30s',
    'How long a shutdown waits for the requests and deliveries in flight',
  ),
  'log-level': amount(logLevel, 'info', 'info', 'The least important log lines that are written'),
  'log-format': amount(logFormat, 'auto', 'auto', 'Form of the log lines; auto: text at a terminal, else JSON'),
} satisfies Settings;

/** The options of `posthorn serve`, from the table. */
export const serveOptions = settingOptions(table);

/** Variables of other commands, which `serve` finds in its environment without a meaning for it. */
const otherVariables = ['POSTHORN_SERVER', 'POSTHORN_TOKEN', 'POSTHORN_DEBUG'];

type ServeTable = Config<typeof table>;

type Role = 'ingress' | 'dispatcher';

export interface KafkaConfig {
  readonly brokers: readonly string[];
  /** null: no TLS. `ca` is PEM; null for the authorities that the system trusts. */
  readonly tls: { readonly ca: string | null } | null;
  readonly sasl: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  } | null;
}

/** The configuration of `posthorn serve`, checked as a whole; limits and times in the units of their names. */
export interface ServeConfig {
  readonly log: { readonly kind: 'embedded'; readonly directory: string } | ({ readonly kind: 'kafka' } & KafkaConfig);
  /** The directory of manifests, or null. */
  readonly triggers: string | null;
  readonly owner: string;
  readonly prefix: string;
  readonly roles: ReadonlySet<Role>;
  readonly workers: number;
  readonly host: string;
  readonly port: number;
  readonly adminHost: string;
  readonly adminPort: number;
  /** null: the API asks for none, and answers on loopback only. */
  readonly adminToken: string | null;
  readonly secrets: Secrets;
  /** The file of webhooks, or null. */
  readonly webhooks: string | null;
  /** The directory of schemas, or null. */
  readonly schemas: string | null;
  /** What the URLs of schemas begin with, without a slash at its end; null: none is fetched. */
  readonly schemaRegistry: string | null;
  /** A DNS name. */
  readonly webhookOrigin: string;
  /** null: subscribers are told none. */
  readonly webhookCallbackUrl: string | null;
  readonly eventMaxBytes: number;
  readonly batchMaxBytes: number;
  readonly partitions: number;
  readonly replicationFactor: number;
  /** null: for ever. */
  readonly eventsRetentionMs: number | null;
  /** null: for ever. */
  readonly deadLetterRetentionMs: number | null;
  readonly windowRecords: number;
  readonly windowBytes: number;
  readonly waitingEventsMax: number;
  readonly responseMaxBytes: number;
  readonly retryGroups: number;
  readonly shutdownTimeoutMs: number;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/**
 * Reads the configuration of `posthorn serve` from its options, the environment and the file that they name.
 * @throws UsageError saying what is wrong, where, and what would be right
 */
export async function serveConfig(
  options: Readonly<Record<string, string | readonly string[] | true | undefined>>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ServeConfig> {
  const config = await readConfig(table, { options, env, otherVariables, otherPrefix: secretVariablePrefix });
  const { values } = config;
  const problems = contradictions(config);
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  return {
    log: await logConfig(config),
    triggers: values.triggers,
    owner: values.owner,
    prefix: values.prefix,
    roles: values.roles,
    workers: values.workers,
    host: values.host,
    port: values.port,
    adminHost: values['admin-host'],
    adminPort: values['admin-port'],
    adminToken: await secret(config, 'admin-token-file'),
    secrets: await readSecrets(values.secrets, config.placeOf('secrets') ?? '--secrets', env),
    webhooks: values.webhooks,
    schemas: values.schemas,
    schemaRegistry: values['schema-registry'],
    webhookOrigin: values['webhook-origin'] ?? hostname(),
    webhookCallbackUrl: values['webhook-callback-url'],
    eventMaxBytes: values['event-max-bytes'],
    batchMaxBytes: values['batch-max-bytes'],
    partitions: values.partitions,
    replicationFactor: values['replication-factor'],
    eventsRetentionMs: values['events-retention'],
    deadLetterRetentionMs: values['dead-letter-retention'],
    windowRecords: values['window-records'],
    windowBytes: values['window-bytes'],
    waitingEventsMax: values['waiting-events-max'],
    responseMaxBytes: values['response-max-bytes'],
    retryGroups: values['retry-groups'],
    shutdownTimeoutMs: values['shutdown-timeout'],
    logLevel: values['log-level'],
    logFormat: values['log-format'],
  };
}

/** What each setting alone allows and the others do not. */
function contradictions({ values, placeOf }: ServeTable): string[] {
  const problems: string[] = [];
  const embedded = values.log === 'embedded' || (values.log === null && values.kafka === null);
  if (values.log === 'kafka' && values.kafka === null) {
    problems.push(`${placeOf('log')} kafka needs the addresses of its brokers: --kafka kafka-1:9092`);
  }
  for (const name of kafkaOnly) {
    const place = placeOf(name);
    if (!embedded || place === undefined || values[name] === false) continue;
    const because = values.log === null ? 'no kafka is given' : `${placeOf('log')} asks for the embedded log`;
    problems.push(`${place} has no use, since ${because}`);
  }
  if (embedded && values.workers > 1) {
    problems.push(`${placeOf('workers')} ${values.workers} needs Kafka (--kafka): the embedded log has one process`);
  }
  const ca = placeOf('kafka-tls-ca-file');
  if (ca !== undefined && !values['kafka-tls']) problems.push(`${ca} needs kafka-tls too`);
  const sasl = saslNames.filter((name) => values[name] !== null);
  if (sasl.length > 0 && sasl.length < saslNames.length) {
    const missing = saslNames.filter((name) => values[name] === null);
    problems.push(`${placeOf(sasl[0] ?? 'kafka')} needs ${missing.join(' and ')} too`);
  }
  if (values.port !== 0 && values.port === values['admin-port'] && values.host === values['admin-host']) {
    problems.push(`port and admin-port are both ${values.port} on ${values.host}; each needs its own`);
  }
  const callback = placeOf('webhook-callback-url');
  if (callback !== undefined && values.roles.size < 2) {
    problems.push(`${callback} needs both roles: the process that asks is the one that is called back`);
  }
  for (const name of ['batch-max-bytes', 'window-bytes'] as const) {
    if (values[name] >= values['event-max-bytes']) continue;
    const event = formatBytes(values['event-max-bytes']);
    problems.push(`${name} (${formatBytes(values[name])}) must hold at least one event of event-max-bytes (${event})`);
  }
  return problems;
}

const saslNames = ['kafka-sasl-mechanism', 'kafka-sasl-username', 'kafka-sasl-password-file'] as const;
const kafkaOnly = ['kafka', 'kafka-tls', 'kafka-tls-ca-file', ...saslNames] as const;

async function logConfig(config: ServeTable): Promise<ServeConfig['log']> {
  const { values } = config;
  if (values.kafka === null) return { kind: 'embedded', directory: values.data };
  const mechanism = values['kafka-sasl-mechanism'];
  const username = values['kafka-sasl-username'];
  const password = await secret(config, 'kafka-sasl-password-file');
  return {
    kind: 'kafka',
    brokers: values.kafka,
    tls: values['kafka-tls'] ? { ca: await textOf(config, 'kafka-tls-ca-file') } : null,
    sasl: mechanism && username && password ? { mechanism, username, password } : null,
  };
}

/** What the file holds but the line break at its end. */
async function secret(config: ServeTable, name: FileSetting): Promise<string | null> {
  const text = (await textOf(config, name))?.replace(/\r?\n$/, '') ?? null;
  if (text === '' || (text !== null && /[\r\n]/.test(text))) {
    throw new UsageError(`${config.placeOf(name)} ${config.values[name]}: must hold one line, the secret itself`);
  }
  return text;
}

/** What the file of the setting holds; null where none is given. */
async function textOf({ values, placeOf }: ServeTable, name: FileSetting): Promise<string | null> {
  const file = values[name];
  if (file === null) return null;
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${placeOf(name)} ${file}: ${fileProblem(error, 'file')}; name ${rightFile[name]}`, {
      cause: error,
    });
  }
}

const rightFile = {
  'kafka-tls-ca-file': "a PEM file of the authorities to trust, or leave it out for the system's",
  'kafka-sasl-password-file': 'a file that holds the password',
  'admin-token-file': 'a file that holds the token',
} as const;
type FileSetting = keyof typeof rightFile;
