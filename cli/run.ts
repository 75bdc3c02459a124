import { messageOf, PosthornError, UsageError } from '../runtime/errors.ts';
import { didYouMean } from '../runtime/nearest.ts';
import { version } from '../runtime/version.ts';
import { type Command, type ExitCode, exitCodes, type Invocation, type Option } from './command.ts';
import { commandHelp, overview } from './help.ts';
import { parseOptions } from './options.ts';

export type Io = Pick<Invocation, 'env' | 'stdin' | 'stdout' | 'stderr'>;

/** The subcommands; only the one that is asked for is loaded. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve.ts')).serve,
  send: async () => (await import('./send.ts')).send,
  apply: async () => (await import('./apply.ts')).apply,
  get: async () => (await import('./get.ts')).get,
  delete: async () => (await import('./delete.ts')).deleteCommand,
  check: async () => (await import('./check.ts')).check,
  schemas: async () => (await import('./schemas.ts')).schemas,
  match: async () => (await import('./match.ts')).match,
  test: async () => (await import('./test.ts')).test,
  try: async () => (await import('./try.ts')).tryCommand,
};

const helpOption: Option = { name: 'help', short: 'h', help: 'Show this' };

/**
 * Runs `posthorn ARGS` and resolves with the exit code; never rejects.
 * @param args what stands after `posthorn`
 */
export async function run(args: readonly string[], io: Io): Promise<ExitCode> {
  try {
    return await dispatch(args, io);
  } catch (error) {
    return explain(error, args[0], io);
  }
}

async function dispatch(args: readonly string[], io: Io): Promise<ExitCode> {
  const [name, ...rest] = args;
  if (name === undefined) {
    io.stderr.write(overview(await all()));
    return exitCodes.usage;
  }
  if (name === '--version' || name === 'version') return print(io, `posthorn ${version}\n`);
  if (name === '--help' || name === '-h') return print(io, overview(await all()));
  if (name === 'help') {
    const [about] = rest;
    return print(
      io,
      about === undefined || about === 'help' || about.startsWith('-')
        ? overview(await all())
        : commandHelp(withHelp(await load(about))),
    );
  }

  const command = withHelp(await load(name));
  const { options, positionals } = parseOptions(command.options, rest);
  if (options[helpOption.name]) return print(io, commandHelp(command));
  return command.run({ ...io, options, positionals });
}

function load(name: string): Promise<Command> {
  const command = commands[name];
  if (Object.hasOwn(commands, name) && command !== undefined) return command();
  if (name.startsWith('-')) throw new UsageError(`unknown option ${name}; options stand after the command`);
  const names = [...Object.keys(commands), 'help'];
  throw new UsageError(`unknown command ${name}${didYouMean(name, names) || `; there are ${names.join(', ')}`}`);
}

function all(): Promise<Command[]> {
  return Promise.all(Object.keys(commands).map(load));
}

function withHelp(command: Command): Command {
  return { ...command, options: [...command.options, helpOption] };
}

function print(io: Io, text: string): ExitCode {
  io.stdout.write(text);
  return exitCodes.ok;
}

function explain(error: unknown, name: string | undefined, io: Io): ExitCode {
  io.stderr.write(`posthorn: ${messageOf(error)}\n`);
  if (error instanceof UsageError) {
    const about = name !== undefined && Object.hasOwn(commands, name) ? ` ${name}` : '';
    io.stderr.write(`posthorn help${about} shows what is right\n`);
    return exitCodes.usage;
  }
  if (!(error instanceof PosthornError)) {
    const debug = io.env.POSTHORN_DEBUG === '1' && error instanceof Error;
    io.stderr.write('this is a bug in Posthorn; with POSTHORN_DEBUG=1 it shows where\n');
    if (debug) io.stderr.write(`${error.stack}\n`);
  }
  return exitCodes.failed;
}
