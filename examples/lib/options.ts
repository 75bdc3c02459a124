import { parseArgs } from 'node:util';

/** What the examples let their user choose. */
export interface Options {
  /** Posthorn's ports; 0 picks a free one. */
  readonly port: number;
  readonly adminPort: number;
  /** The port of the first service; the others follow it. 0 picks free ones. */
  readonly servicePort: number;
  /** Where the log, the triggers as they were applied and Posthorn's own log lines are kept. */
  readonly data: string;
  /** How many events are sent. */
  readonly events: number;
  readonly ratePerSecond: number;
  /** How long events wait for a handler that is being compiled. */
  readonly patienceSeconds: number;
}

/** The command line is wrong, or a port is taken: its message is for the user. */
export class ExampleError extends Error {}

/**
 * Flags first, then the environment, then the defaults.
 * @throws ExampleError naming what is wrong; null where help was asked for
 */
export function readOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  defaults: Options,
): Options | null {
  const values = parse(argv);
  if (values.help) return null;
  const count = (flag: string, given: string | undefined, fallback: number, max: number): number => {
    if (given === undefined || given === '') return fallback;
    const number = Number(given);
    if (/^\d+$/.test(given) && number <= max) return number;
    throw new ExampleError(`${flag} takes a whole number from 0 to ${max}, not "${given}".`);
  };
  return {
    port: count('--port', values.port ?? env.POSTHORN_PORT, defaults.port, 65_535),
    adminPort: count('--admin-port', values['admin-port'] ?? env.POSTHORN_ADMIN_PORT, defaults.adminPort, 65_535),
    servicePort: count('--service-port', values['service-port'] ?? env.SERVICE_PORT, defaults.servicePort, 65_500),
    data: values.data || env.POSTHORN_DATA || defaults.data,
    events: count('--events', values.events, defaults.events, 1_000_000),
    ratePerSecond: Math.max(1, count('--rate', values.rate, defaults.ratePerSecond, 1_000)),
    patienceSeconds: count('--patience', values.patience, defaults.patienceSeconds, 3_600),
  };
}

/** The flags, each with a space before it, that choose these ports and this data again where they are not the defaults. */
export function flagsOf({ port, adminPort, servicePort, data }: Options, defaults: Options): string {
  let flags = '';
  if (port !== defaults.port) flags += ` --port ${port}`;
  if (adminPort !== defaults.adminPort) flags += ` --admin-port ${adminPort}`;
  if (servicePort !== defaults.servicePort) flags += ` --service-port ${servicePort}`;
  if (data !== defaults.data) flags += ` --data ${quoted(data)}`;
  return flags;
}

/** One word of a shell command. */
export function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

export function helpText(command: string, defaults: Options): string {
  return `Usage: ${command} [options]

  --port N          where Posthorn takes events (${defaults.port}; or POSTHORN_PORT)
  --admin-port N    where it shows metrics and takes triggers (${defaults.adminPort}; or POSTHORN_ADMIN_PORT)
  --service-port N  of the first handler; the others follow it (${defaults.servicePort}; or SERVICE_PORT)
  --data DIR        where everything is kept (${defaults.data}; or POSTHORN_DATA)
  --events N        how many events are sent (${defaults.events})
  --rate N          events a second (${defaults.ratePerSecond})
  --patience N      seconds to wait for a handler that is compiled; after that it joins later (${defaults.patienceSeconds})

A port of 0 picks a free one.`;
}

function parse(argv: readonly string[]) {
  const text = { type: 'string' } as const;
  const options = {
    port: text,
    'admin-port': text,
    'service-port': text,
    data: text,
    events: text,
    rate: text,
    patience: text,
  };
  try {
    return parseArgs({ args: [...argv], options: { ...options, help: { type: 'boolean', short: 'h' } } }).values;
  } catch (error) {
    throw new ExampleError(error instanceof Error ? error.message : String(error));
  }
}
