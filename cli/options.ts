import { parseArgs } from 'node:util';
import { UsageError } from '../runtime/errors.ts';
import { didYouMean } from '../runtime/nearest.ts';
import type { Invocation, Option } from './command.ts';

export type GivenOptions = Invocation['options'];

/**
 * Reads the arguments of a subcommand. Of an option that is given twice and isn't `multiple` the last counts, so that
 * a script can add to a list of defaults.
 * @throws UsageError for an unknown option (with the nearest name), a missing value, a value for a switch
 */
export function parseOptions(
  known: readonly Option[],
  args: readonly string[],
): { options: GivenOptions; positionals: string[] } {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      known.map(({ name, short, value }) => [
        name,
        { type: value === undefined ? ('boolean' as const) : ('string' as const), ...(short && { short }) },
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const options: Record<string, string | string[] | true> = {};
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const option = known.find(({ name }) => name === token.name);
    if (option === undefined) throw unknownOption(token.rawName, known);
    const value = valueFor(option, token);
    const before = options[option.name];
    if (option.multiple && value !== true) options[option.name] = Array.isArray(before) ? [...before, value] : [value];
    else options[option.name] = value;
  }
  return { options, positionals };
}

interface OptionToken {
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function valueFor(option: Option, { rawName, value, inlineValue = false }: OptionToken): string | true {
  if (option.value === undefined) {
    if (value !== undefined) throw new UsageError(`${rawName} is a switch and takes no value, but got ${value}`);
    return true;
  }
  if (value === undefined) throw new UsageError(`${rawName} needs a value: --${option.name} ${option.value}`);
  if (!inlineValue && value.startsWith('-') && value.length > 1) {
    throw new UsageError(`${rawName} needs a value; if ${value} is meant to be it, write --${option.name}=${value}`);
  }
  return value;
}

function unknownOption(rawName: string, known: readonly Option[]): UsageError {
  const names = known.map(({ name }) => `--${name}`);
  return new UsageError(`unknown option ${rawName}${rawName.startsWith('--') ? didYouMean(rawName, names) : ''}`);
}

/** The option's value where it is one text. */
export function textOption(options: GivenOptions, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

/** The option's values where it may be given more than once. */
export function listOption(options: GivenOptions, name: string): readonly string[] {
  const value = options[name];
  return typeof value === 'object' ? value : [];
}

/**
 * The option's value where it is a whole number from 1 to `max`.
 * @throws UsageError for any other
 */
export function wholeNumber(options: GivenOptions, name: string, max: number): number | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  const number = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > max) throw new UsageError(`--${name} must be a whole number, 1 to ${max}, not ${text}`);
  return number;
}
