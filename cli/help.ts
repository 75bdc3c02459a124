import type { Command, Option } from './command.ts';

/** A terminal is at least so wide, or breaks the lines itself. */
const columns = 100;

const exitCodesText = `Exit codes:
  0  done
  1  what was asked for failed, or a part of it did; the message says why
  2  the command line or the configuration is wrong
`;

/** What `posthorn help` shows. */
export function overview(commands: readonly Command[]): string {
  const rows = commands.map(({ name, summary }) => ({ left: name, right: summary }));
  return `Posthorn turns a Kafka topic into HTTP calls.

Usage: posthorn COMMAND [OPTIONS]

Commands:
${table([...rows, { left: 'help', right: 'Show this, or what a command does: posthorn help COMMAND' }])}
Options:
${table([
  { left: '-h, --help', right: 'Show this' },
  { left: '--version', right: 'Show the version' },
])}
${exitCodesText}`;
}

/** What `posthorn help COMMAND` shows. */
export function commandHelp(command: Command): string {
  const examples = command.examples.map(({ command: line, does }) => `  ${line}\n${wrapped(does, 6)}`).join('');
  return `${command.summary}

Usage: posthorn ${command.name} ${command.usage}

${command.about === undefined ? '' : `${wrapped(command.about, 0)}\n`}${command.options.length === 0 ? '' : `Options:\n${table(command.options.map(optionRow))}\n`}Examples:
${examples}
${codesText(command)}`;
}

function codesText({ exitCodes }: Command): string {
  if (exitCodes === undefined) return exitCodesText;
  return `Exit codes:\n${exitCodes.map(([code, says]) => `  ${code}  ${says}\n`).join('')}`;
}

function optionRow({ name, short, value, multiple, help }: Option): { left: string; right: string } {
  const left = `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
  return { left, right: multiple ? `${help} (may be given more than once)` : help };
}

function table(rows: readonly { readonly left: string; readonly right: string }[]): string {
  const width = Math.min(30, Math.max(...rows.map(({ left }) => left.length)));
  return rows
    .map(({ left, right }) => {
      const text = wrapped(right, width + 4);
      if (left.length > width) return `  ${left}\n${text}`;
      return `  ${left.padEnd(width)}  ${text.trimStart()}`;
    })
    .join('');
}

function wrapped(text: string, indent: number): string {
  let lines = '';
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && indent + line.length + 1 + word.length > columns) {
      lines += `${' '.repeat(indent)}${line}\n`;
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return `${lines}${' '.repeat(indent)}${line}\n`;
}
