import type { Resource } from '../console/resources.ts';
import { systemClock } from '../runtime/clock.ts';
import { UsageError } from '../runtime/errors.ts';
import { didYouMean } from '../runtime/nearest.ts';
import { type Client, connect, serverOption } from './client.ts';
import { type Command, type ExitCode, exitCodes, type Invocation } from './command.ts';
import { deadLetterOptions, getDeadLetters } from './get-dead-letters.ts';
import { namespaceOption } from './manifests.ts';
import { textOption } from './options.ts';
import { type Column, type OutputFormat, outputFormats, printed } from './print.ts';
import { age } from './table.ts';

export const get: Command = {
  name: 'get',
  summary: 'Show the triggers, brokers or dead letters of a running Posthorn',
  usage: 'triggers|brokers [NAME…] [-n NAME | -A] | dead-letters [-n NAME] [OPTIONS]',
  options: [
    namespaceOption,
    { name: 'all-namespaces', short: 'A', help: 'Those of every namespace' },
    { name: 'output', short: 'o', value: 'FORMAT', help: 'wide (more columns), json, yaml, or name (one a line)' },
    ...deadLetterOptions,
    serverOption,
  ],
  examples: [
    { command: 'posthorn get triggers', does: 'lists the triggers of the namespace default' },
    { command: 'posthorn get trigger orders -o yaml', does: 'shows one trigger with its status, as a manifest' },
    { command: 'posthorn get brokers -A -o wide', does: 'lists all brokers with their topics' },
    {
      command: 'posthorn get dead-letters --trigger orders',
      does: 'lists the newest events that could not be delivered to the trigger orders, with the reason',
    },
    { command: 'posthorn get dead-letters -o json', does: 'shows them whole, with data and record headers' },
  ],
  run,
};

type Kind = 'triggers' | 'brokers';

async function run(invocation: Invocation): Promise<ExitCode> {
  const { options, positionals, stdout, stderr } = invocation;
  const [kindName, ...names] = positionals;
  if (kindName === undefined) throw new UsageError('say what to get: triggers, brokers or dead-letters');
  const kind = kindOf(kindName);
  const format = formatOf(invocation);
  if (kind === 'dead-letters') return getDeadLetters(invocation, names, format);
  const other = deadLetterOptions.find(({ name }) => options[name] !== undefined);
  if (other !== undefined) throw new UsageError(`--${other.name} is for dead-letters only`);
  const all = options['all-namespaces'] === true;
  if (all && names.length > 0) throw new UsageError('a name is of one namespace: leave out -A, or the name');
  const namespace = all ? null : (textOption(options, 'namespace') ?? 'default');

  const resources = await fetchResources(connect(invocation), kind, namespace, names);
  if (resources.length === 0 && (format === 'table' || format === 'wide')) {
    stderr.write(`No ${kind} found${namespace === null ? '' : ` in namespace ${namespace}`}.\n`);
    return exitCodes.ok;
  }
  const columns = kind === 'triggers' ? triggerColumns : brokerColumns;
  const printing = {
    format,
    columns: all ? [namespaceColumn, ...columns] : columns,
    wideColumns: wideColumns[kind],
    nameOf: ({ metadata }: Resource) => `${kind.slice(0, -1)}.eventing.knative.dev/${metadata.name}`,
    single: names.length === 1,
  };
  stdout.write(printed(resources, printing));
  return exitCodes.ok;
}

/** @throws UsageError */
export function kindOf(name: string): Kind | 'dead-letters' {
  const [plain = ''] = name.toLowerCase().split('.');
  if (plain === 'trigger' || plain === 'triggers') return 'triggers';
  if (plain === 'broker' || plain === 'brokers') return 'brokers';
  if (/^dead-?letters?$/.test(plain)) return 'dead-letters';
  const guess = didYouMean(plain, ['triggers', 'brokers', 'dead-letters']);
  throw new UsageError(`there are triggers, brokers and dead-letters, no ${name}${guess}`);
}

function formatOf({ options }: Invocation): OutputFormat {
  const given = textOption(options, 'output');
  if (given === undefined) return 'table';
  const format = outputFormats.find((one) => one === given);
  if (format !== undefined) return format;
  throw new UsageError(
    `--output is one of ${outputFormats.join(', ')}, not ${given}${didYouMean(given, outputFormats)}`,
  );
}

function fetchResources(
  client: Client,
  kind: Kind,
  namespace: string | null,
  names: readonly string[],
): Promise<readonly Resource[]> {
  if (namespace === null || names.length === 0) return client.list(kind, namespace);
  return Promise.all(names.map((name) => client.read(kind, namespace, name)));
}

const namespaceColumn: Column<Resource> = { title: 'NAMESPACE', of: ({ metadata }) => metadata.namespace ?? 'default' };
const nameColumn: Column<Resource> = { title: 'NAME', of: ({ metadata }) => metadata.name };
const ownerColumn: Column<Resource> = { title: 'OWNER', of: ({ status }) => status.owner ?? '' };
const readyColumn: Column<Resource> = { title: 'READY', of: ({ status }) => status.conditions[0]?.status ?? 'Unknown' };
const ageColumn: Column<Resource> = {
  title: 'AGE',
  of({ metadata: { creationTimestamp } }) {
    if (typeof creationTimestamp !== 'string') return '';
    return age(systemClock.now() - Date.parse(creationTimestamp));
  },
};

const triggerColumns: readonly Column<Resource>[] = [
  nameColumn,
  { title: 'BROKER', of: ({ status }) => String(status.broker ?? '') },
  { title: 'SUBSCRIBER', of: ({ status }) => String(status.subscriberUri ?? '') },
  ownerColumn,
  ageColumn,
  readyColumn,
];

const brokerColumns: readonly Column<Resource>[] = [
  nameColumn,
  { title: 'TRIGGERS', of: ({ status }) => String(status.triggers ?? '') },
  ownerColumn,
  ageColumn,
  readyColumn,
];

const uidColumn: Column<Resource> = { title: 'UID', of: ({ metadata }) => String(metadata.uid ?? '') };
const generationColumn: Column<Resource> = {
  title: 'GENERATION',
  of: ({ metadata }) => String(metadata.generation ?? ''),
};
const reasonColumn: Column<Resource> = { title: 'REASON', of: ({ status }) => status.conditions[0]?.message ?? '' };

const wideColumns: Readonly<Record<Kind, readonly Column<Resource>[]>> = {
  triggers: [generationColumn, uidColumn, reasonColumn],
  brokers: [{ title: 'TOPIC', of: ({ status }) => String(status.topic ?? '') }, generationColumn, reasonColumn],
};
