import { deadLettersDefault, deadLettersMax } from '../console/api.ts';
import type { DeadLetter } from '../console/dead-letters.ts';
import { UsageError } from '../runtime/errors.ts';
import { connect, type DeadLetters } from './client.ts';
import { type ExitCode, exitCodes, type Invocation, type Option } from './command.ts';
import { textOption, wholeNumber } from './options.ts';
import { type Column, type OutputFormat, printed } from './print.ts';

export const deadLetterOptions: readonly Option[] = [
  { name: 'broker', short: 'b', value: 'NAME', help: 'Broker whose dead letters are shown (default default)' },
  { name: 'trigger', value: 'NAME', help: 'Only those dead letters that were meant for this trigger' },
  {
    name: 'limit',
    value: 'N',
    help: `At most so many dead letters, the newest, 1 to ${deadLettersMax} (default ${deadLettersDefault})`,
  },
];

/** Longer reasons are cut in the table, not in the format wide. */
const reasonCharactersMax = 80;

/** `posthorn get dead-letters`. @throws UsageError, and what the client throws */
export async function getDeadLetters(
  invocation: Invocation,
  names: readonly string[],
  format: OutputFormat,
): Promise<ExitCode> {
  const { options, stdout, stderr } = invocation;
  if (names.length > 0)
    throw new UsageError(`dead letters are not shown by name; --trigger ${names[0]} shows a trigger's`);
  if (options['all-namespaces'] === true) {
    throw new UsageError('dead letters are those of one broker: in place of -A, name it with -n and --broker');
  }
  const namespace = textOption(options, 'namespace') ?? 'default';
  const broker = textOption(options, 'broker') ?? 'default';
  const trigger = textOption(options, 'trigger');
  const limit = String(wholeNumber(options, 'limit', deadLettersMax) ?? deadLettersDefault);
  const letters = await connect(invocation).deadLetters(namespace, broker, { trigger, limit });

  const isTable = format === 'table' || format === 'wide';
  if (letters.items.length > 0 || !isTable) stdout.write(shown(letters.items, format));
  else {
    const whose = trigger === undefined ? '' : ` of trigger ${trigger}`;
    stderr.write(`No dead letters${whose} found in broker ${namespace}/${broker}.\n`);
  }
  stderr.write(remark(letters, Number(limit), isTable));
  return exitCodes.ok;
}

/** Whether there is more to see, and how. */
function remark({ items, metadata }: DeadLetters, limit: number, isTable: boolean): string {
  if (!metadata.hasMore) return '';
  if (items.length < limit) return 'The topic holds more than is searched at once; there may be others, older ones.\n';
  return isTable ? `These are the newest ${limit}; --limit shows more.\n` : '';
}

function shown(items: readonly DeadLetter[], format: OutputFormat): string {
  const nameOf = ({ metadata }: DeadLetter): string => `deadletter.posthorn.dev/${metadata.name}`;
  const columns = [timeColumn, ...whatColumns, format === 'wide' ? reasonColumn : shortReasonColumn, ...eventColumns];
  return printed(items, { format, columns, wideColumns, nameOf });
}

const timeColumn: Column<DeadLetter> = {
  title: 'TIME',
  of: ({ metadata }) => metadata.creationTimestamp.replace(/\.\d+Z$/, 'Z'),
};

const whatColumns: readonly Column<DeadLetter>[] = [
  { title: 'TRIGGER', of: ({ trigger }) => trigger ?? '' },
  { title: 'ATTEMPTS', of: ({ attempts }) => String(attempts ?? '') },
];

const reasonColumn: Column<DeadLetter> = { title: 'REASON', of: ({ reason }) => reason ?? '' };

const shortReasonColumn: Column<DeadLetter> = {
  title: 'REASON',
  of({ reason }) {
    if (reason === null || reason.length <= reasonCharactersMax) return reason ?? '';
    return `${reason.slice(0, reasonCharactersMax - 1)}…`;
  },
};

const eventColumns: readonly Column<DeadLetter>[] = [
  { title: 'EVENT', of: ({ event }) => event?.id ?? '' },
  { title: 'SOURCE', of: ({ event }) => event?.source ?? '' },
  { title: 'TYPE', of: ({ event }) => event?.type ?? '' },
];

const wideColumns: readonly Column<DeadLetter>[] = [
  { title: 'FIRST ATTEMPT', of: ({ firstAttempt }) => firstAttempt ?? '' },
  { title: 'SINK', of: ({ deadLetterSink }) => deadLetterSink ?? '' },
  { title: 'ORIGIN', of: ({ origin }) => origin ?? '' },
  { title: 'NAME', of: ({ metadata }) => metadata.name },
];
