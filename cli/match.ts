import { byNearness, type Explanation, explain } from '../broker/filter/explain.ts';
import { hasErrors } from '../broker/trigger/manifest-files.ts';
import type { CloudEvent } from '../event/event.ts';
import { PosthornError, UsageError } from '../runtime/errors.ts';
import { didYouMean } from '../runtime/nearest.ts';
import { connect, serverOption } from './client.ts';
import { type Command, type ExitCode, exitCodes, type Invocation } from './command.ts';
import { metText, reasonLines } from './explained.ts';
import { manifestFilesAt, writeProblems } from './manifests.ts';
import { givenEvents } from './match/events.ts';
import { textOption } from './options.ts';
import { dataOption, templateOptions } from './send/template.ts';
import { type FilteringTrigger, triggersOfFiles, triggersOfResources } from './trigger-sets.ts';

/** `posthorn match`: which triggers get an event, and why the others do not. */
export const match: Command = {
  name: 'match',
  summary: 'Say which triggers get an event, and why the others do not',
  usage: 'EVENT-FILE|- | --type TYPE [--data @FILE]  [--trigger NAME] [--triggers DIR] [OPTIONS]',
  about:
    'The file is a CloudEvent as JSON, a batch of them, or one on each line; the flags make an event as those of send do. The first line says who gets the event. Then come the triggers that only just miss it, nearest first, each with the conditions that are not met and the values that they saw; then those that get it, and at last those that ask for something else.',
  options: [
    { name: 'trigger', value: 'NAME', help: 'Only this trigger, with all that its filters say of the event' },
    {
      name: 'triggers',
      value: 'FILE|DIR',
      help: 'Take the triggers from manifests, as serve --triggers would, and ask no server',
    },
    {
      name: 'namespace',
      short: 'n',
      value: 'NAME',
      help: 'Namespace of the broker that gets the event (default default)',
    },
    { name: 'broker', short: 'b', value: 'NAME', help: 'Name of the broker that gets the event (default default)' },
    { name: 'output', short: 'o', value: 'json', help: 'Print verdicts and reasons as JSON' },
    ...templateOptions,
    dataOption,
    serverOption,
  ],
  examples: [
    { command: 'posthorn match event.json', does: 'asks the running Posthorn for its triggers and explains each' },
    {
      command: 'posthorn match event.json --triggers triggers/ --trigger orders',
      does: 'explains one trigger of a directory, without a server',
    },
    {
      command: 'posthorn match --type com.example.order.created --data @order.json',
      does: 'explains an event of that type with that data',
    },
    {
      command: `posthorn get dead-letters -o json | jq -c '.items[].event // empty' | posthorn match -`,
      does: 'explains the events of the newest dead letters',
    },
  ],
  run,
};

interface Judged {
  readonly trigger: FilteringTrigger;
  readonly explanation: Explanation;
}

async function run(invocation: Invocation): Promise<ExitCode> {
  const { options, stdout } = invocation;
  const output = textOption(options, 'output');
  if (output !== undefined && output !== 'json') {
    throw new UsageError(`-o ${output} is not known here; there is -o json`);
  }
  const events = await givenEvents(invocation);
  const triggers = await triggersFor(invocation);
  const matches = events.map((event) => {
    const judged = triggers.map((trigger): Judged => ({ trigger, explanation: explain(trigger, event) }));
    return { event, judged: judged.toSorted((a, b) => byRank(a, b) || byName(a, b)) };
  });
  if (output === 'json') {
    const items = matches.map(({ event, judged }) => jsonOf(event, judged));
    stdout.write(`${JSON.stringify({ apiVersion: 'v1', kind: 'List', items }, null, 2)}\n`);
  } else {
    const isOne = textOption(options, 'trigger') !== undefined;
    const texts = matches.map(({ event, judged }) => `${eventLine(event)}\n${isOne ? one(judged) : several(judged)}`);
    stdout.write(texts.join('\n'));
  }
  return exitCodes.ok;
}

/** The triggers of the broker, or the one that is named. */
async function triggersFor(invocation: Invocation): Promise<readonly FilteringTrigger[]> {
  const { options } = invocation;
  const namespace = textOption(options, 'namespace') ?? 'default';
  const broker = textOption(options, 'broker') ?? 'default';
  const path = textOption(options, 'triggers');
  if (path !== undefined && options.server !== undefined) {
    throw new UsageError('--triggers asks no server: leave out --server, or --triggers');
  }
  const all =
    path === undefined ? await servedTriggers(invocation) : await offlineTriggers(invocation, path, namespace);
  const own = all.filter((trigger) => trigger.namespace === namespace && trigger.broker === broker);
  if (own.length === 0) throw noTriggers(`${namespace}/${broker}`, path, all);
  const name = textOption(options, 'trigger');
  if (name === undefined) return own;
  const named = own.filter((trigger) => trigger.name === name);
  if (named.length > 0) return named;
  const guess = didYouMean(
    name,
    own.map((trigger) => trigger.name),
  );
  throw new PosthornError('TRIGGER_UNKNOWN', `broker ${namespace}/${broker} has no trigger ${name}${guess}`);
}

async function offlineTriggers(
  { stderr }: Invocation,
  path: string,
  namespace: string,
): Promise<readonly FilteringTrigger[]> {
  const { triggers, problems } = await triggersOfFiles(await manifestFilesAt(path), namespace);
  if (hasErrors({ problems })) {
    writeProblems(
      stderr,
      problems.filter(({ severity }) => severity === 'error'),
    );
    throw new PosthornError('MANIFEST', `the manifests of ${path} have errors, so who gets the event can't be told`);
  }
  return triggers;
}

async function servedTriggers(invocation: Invocation): Promise<FilteringTrigger[]> {
  const resources = await connect(invocation).list('triggers', null);
  return triggersOfResources(resources, (name, why) => {
    invocation.stderr.write(`posthorn: trigger ${name} is left out, it can't be read here: ${why}\n`);
  });
}

function noTriggers(broker: string, path: string | undefined, all: readonly FilteringTrigger[]): PosthornError {
  const where = path === undefined ? 'the running Posthorn' : path;
  const others = [...new Set(all.map((trigger) => `${trigger.namespace}/${trigger.broker}`))].sort();
  const shown = others.slice(0, 5).join(', ') + (others.length > 5 ? ', …' : '');
  const advice = others.length === 0 ? '' : `; there are some of ${shown}: name the broker with -n and --broker`;
  return new PosthornError('NO_TRIGGERS', `${where} has no trigger of broker ${broker}${advice}`);
}

/** A miss is near where the event meets a condition, or a value is a letter or two off. */
const nearLikeness = 0.8;

type Group = 'near' | 'passes' | 'far';
const ranks: readonly Group[] = ['near', 'passes', 'far'];

function groupOf({ explanation: { passes, met, likeness } }: Judged): Group {
  if (passes) return 'passes';
  return met > 0 || likeness >= nearLikeness ? 'near' : 'far';
}

function byRank(a: Judged, b: Judged): number {
  return ranks.indexOf(groupOf(a)) - ranks.indexOf(groupOf(b)) || byNearness(a.explanation, b.explanation);
}

function byName(a: Judged, b: Judged): number {
  return a.trigger.name < b.trigger.name ? -1 : 1;
}

function eventLine({ attributes: { id, source, type, subject } }: CloudEvent): string {
  const about = subject === undefined ? '' : `, subject ${subject}`;
  return `Event ${id} of ${source}: type ${type}${about}`;
}

function several(judged: readonly Judged[]): string {
  const of = (group: Group): readonly Judged[] => judged.filter((one) => groupOf(one) === group);
  const passing = of('passes').map(({ trigger }) => trigger.name);
  const who = passing.length === 0 ? '' : `: ${passing.join(', ')}`;
  const get = passing.length === 1 ? 'gets' : 'get';
  return [
    `${passing.length} of ${judged.length} ${judged.length === 1 ? 'trigger' : 'triggers'} ${get} it${who}\n`,
    section('Near misses', of('near')),
    section('Get it', of('passes')),
    section('Ask for something else', of('far')),
  ].join('');
}

function section(title: string, judged: readonly Judged[]): string {
  if (judged.length === 0) return '';
  const lines = judged.map(({ trigger, explanation }) => {
    const { conditions, passes, reasons } = explanation;
    if (passes) return `  ${trigger.name}: ${metText(explanation)}\n`;
    const met = conditions === 1 ? '' : `: ${metText(explanation)}`;
    return `  ${trigger.name}${met}\n${reasonLines(reasons, '    ')}`;
  });
  return `\n${title}:\n${lines.join('')}`;
}

function one([judged]: readonly Judged[]): string {
  if (judged === undefined) return '';
  const { trigger, explanation } = judged;
  const { passes, reasons } = explanation;
  const verdict = passes ? 'gets it' : 'does not get it';
  return `${trigger.name} ${verdict}: ${metText(explanation)}\n${reasonLines(reasons, '  ')}`;
}

function jsonOf({ attributes: { id, source, type } }: CloudEvent, judged: readonly Judged[]) {
  return {
    apiVersion: 'posthorn.dev/v1',
    kind: 'Match',
    event: { id, source, type },
    triggers: judged.map(({ trigger, explanation: { passes, conditions, met, reasons } }) => {
      const { namespace, name } = trigger;
      return { namespace, name, passes, conditions, met, reasons };
    }),
  };
}
