import { stringify } from 'yaml';
import type { Resource } from '../console/resources.ts';
import { systemClock } from '../runtime/clock.ts';
import { UsageError } from '../runtime/errors.ts';
import { didYouMean } from '../runtime/nearest.ts';
import { type Client, connect, serverOption } from './client.ts';
import { type Command, type ExitCode, exitCodes, type Invocation } from './command.ts';
import { namespaceOption } from './manifests.ts';
import { textOption } from './options.ts';
import { age, table } from './table.ts';

const formats = ['wide', 'json', 'yaml', 'name'];

export const get: Command = {
  name: 'get',
  summary: 'Show the triggers or brokers of a running Posthorn',
  usage: 'triggers|brokers [NAME…] [-n NAME | -A] [-o wide|json|yaml|name]',
  options: [
    namespaceOption,
    { name: 'all-namespaces', short: 'A', help: 'Those of every namespace' },
    { name: 'output', short: 'o', value: 'FORMAT', help: 'wide (more columns), json, yaml, or name (one a line)' },
    serverOption,
  ],
  examples: [
    { command: 'posthorn get triggers', does: 'lists the triggers of the namespace default' },
    { command: 'posthorn get trigger orders -o yaml', does: 'shows one trigger with its status, as a manifest' },
    { command: 'posthorn get brokers -A -o wide', does: 'lists all brokers with their topics' },
  ],
  run,
};

type Kind = 'triggers' | 'brokers';

async function run(invocation: Invocation): Promise<ExitCode> {
  const { options, positionals, stdout, stderr } = invocation;
  const [kindName, ...names] = positionals;
  if (kindName === undefined) throw new UsageError('say what to get: triggers or brokers');
  const kind = kindOf(kindName);
  const format = textOption(options, 'output') ?? 'table';
  if (format !== 'table' && !formats.includes(format)) {
    throw new UsageError(`--output is one of ${formats.join(', ')}, not ${format}${didYouMean(format, formats)}`);
  }
  const all = options['all-namespaces'] === true;
  if (all && names.length > 0) throw new UsageError('a name is of one namespace: leave out -A, or the name');
  const namespace = all ? null : (textOption(options, 'namespace') ?? 'default');

  const resources = await fetchResources(connect(invocation), kind, namespace, names);
  if (resources.length === 0 && (format === 'table' || format === 'wide')) {
    stderr.write(`No ${kind} found${namespace === null ? '' : ` in namespace ${namespace}`}.\n`);
    return exitCodes.ok;
  }
  stdout.write(printed(resources, { kind, format, all, single: names.length === 1 }));
  return exitCodes.ok;
}

/** @throws UsageError */
export function kindOf(name: string): Kind {
  const [plain = ''] = name.toLowerCase().split('.');
  if (plain === 'trigger' || plain === 'triggers') return 'triggers';
  if (plain === 'broker' || plain === 'brokers') return 'brokers';
  const guess = didYouMean(plain, ['triggers', 'brokers']);
  throw new UsageError(`there are triggers and brokers, no ${name}${guess}`);
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

interface Shape {
  readonly kind: Kind;
  readonly format: string;
  readonly all: boolean;
  readonly single: boolean;
}

function printed(resources: readonly Resource[], { kind, format, all, single }: Shape): string {
  const whole = single ? resources[0] : { apiVersion: 'v1', kind: 'List', items: resources };
  if (format === 'json') return `${JSON.stringify(whole, null, 2)}\n`;
  if (format === 'yaml') return stringify(whole, { lineWidth: 0 });
  if (format === 'name') {
    return resources.map(({ metadata }) => `${kind.slice(0, -1)}.eventing.knative.dev/${metadata.name}\n`).join('');
  }
  const columns = [
    ...(all ? [namespaceColumn] : []),
    ...(kind === 'triggers' ? triggerColumns : brokerColumns),
    ...(format === 'wide' ? wideColumns[kind] : []),
  ];
  const rows = resources.map((resource) => columns.map(({ of }) => of(resource)));
  return table([columns.map(({ title }) => title), ...rows]);
}

interface Column {
  readonly title: string;
  readonly of: (resource: Resource) => string;
}

const namespaceColumn: Column = { title: 'NAMESPACE', of: ({ metadata }) => metadata.namespace ?? 'default' };
const nameColumn: Column = { title: 'NAME', of: ({ metadata }) => metadata.name };
const ownerColumn: Column = { title: 'OWNER', of: ({ status }) => status.owner ?? '' };
const readyColumn: Column = { title: 'READY', of: ({ status }) => status.conditions[0]?.status ?? 'Unknown' };
const ageColumn: Column = {
  title: 'AGE',
  of({ metadata: { creationTimestamp } }) {
    if (typeof creationTimestamp !== 'string') return '';
    return age(systemClock.now() - Date.parse(creationTimestamp));
  },
};

const triggerColumns: readonly Column[] = [
  nameColumn,
  { title: 'BROKER', of: ({ status }) => String(status.broker ?? '') },
  { title: 'SUBSCRIBER', of: ({ status }) => String(status.subscriberUri ?? '') },
  ownerColumn,
  ageColumn,
  readyColumn,
];

const brokerColumns: readonly Column[] = [
  nameColumn,
  { title: 'TRIGGERS', of: ({ status }) => String(status.triggers ?? '') },
  ownerColumn,
  ageColumn,
  readyColumn,
];

const uidColumn: Column = { title: 'UID', of: ({ metadata }) => String(metadata.uid ?? '') };
const generationColumn: Column = { title: 'GENERATION', of: ({ metadata }) => String(metadata.generation ?? '') };
const reasonColumn: Column = { title: 'REASON', of: ({ status }) => status.conditions[0]?.message ?? '' };

const wideColumns: Readonly<Record<Kind, readonly Column[]>> = {
  triggers: [generationColumn, uidColumn, reasonColumn],
  brokers: [{ title: 'TOPIC', of: ({ status }) => String(status.topic ?? '') }, generationColumn, reasonColumn],
};
