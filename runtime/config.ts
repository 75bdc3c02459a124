import { readFile } from 'node:fs/promises';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Kind } from './config-kinds.ts';
import { UsageError } from './errors.ts';
import { fileProblem } from './file-problem.ts';
import { didYouMean } from './nearest.ts';

/** One setting: as `--some-name`, as POSTHORN_SOME_NAME, and as `some-name` in the configuration file. */
export interface Setting<T> {
  readonly kind: Kind<T>;
  readonly fallback: T;
  /** The default in the words of the help; absent where there is none. */
  readonly fallbackText?: string;
  /** Says what it does and, for amounts, per what. */
  readonly help: string;
  /** Another name for the same, in all three places. */
  readonly alias?: string;
  /** Stands for the value in the help in place of the kind's. */
  readonly placeholder?: string;
}

export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** What each setting of a table came to. */
export type Values<Table extends Settings> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer T> ? T : never;
};

/** A text for a setting, and where it stands: `--port`, `POSTHORN_PORT`, `posthorn.yaml:3: port`. */
interface Given {
  readonly text: string;
  readonly place: string;
}

/** As cli/command.ts's Option, of which a lower layer knows nothing. */
export interface SettingOption {
  readonly name: string;
  readonly value?: string;
  readonly help: string;
}

export interface ConfigInputs {
  readonly options: Readonly<Record<string, string | readonly string[] | true | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** POSTHORN_ variables that are no settings. */
  readonly otherVariables: readonly string[];
  /** What POSTHORN_ variables begin with that hold something else; these are never shown. */
  readonly otherPrefix: string;
}

export interface Config<Table extends Settings> {
  readonly values: Values<Table>;
  /** Where a setting was given (`--port`, `posthorn.yaml:3: port`); undefined where the default holds. */
  placeOf(name: keyof Table & string): string | undefined;
}

/** The variables of every command that no setting stands behind. */
const fileVariable = 'POSTHORN_CONFIG';

/**
 * Reads a table of settings: a flag counts more than the environment, that more than the file named by `--config` or
 * POSTHORN_CONFIG, that more than the default.
 * @throws UsageError naming every unknown setting (with the nearest name) and every bad value (with what is right)
 */
export async function readConfig<Table extends Settings>(table: Table, inputs: ConfigInputs): Promise<Config<Table>> {
  const problems: string[] = [];
  const names = namesOf(table);
  const file = inputs.options.config ?? inputs.env[fileVariable];
  const filePlace = inputs.options.config === undefined ? fileVariable : '--config';
  const sources = [
    fromOptions(names, inputs.options),
    fromEnvironment(names, inputs, problems),
    typeof file === 'string' && file !== ''
      ? await fromFile(names, file, filePlace, problems)
      : new Map<string, Given>(),
  ];
  const given = new Map<string, Given>();
  for (const source of sources) for (const [name, one] of source) if (!given.has(name)) given.set(name, one);

  const values: Record<string, unknown> = {};
  for (const [name, { kind, fallback }] of Object.entries(table)) {
    const one = given.get(name);
    const value = one === undefined ? fallback : kind.parse(one.text.trim());
    if (value === undefined && one !== undefined) {
      problems.push(`${one.place} must be ${kind.expected}, not ${JSON.stringify(one.text)}`);
    }
    values[name] = value;
  }
  if (problems.length > 0) throw new UsageError(problems.join('\n'));
  return { values: values as Values<Table>, placeOf: (name) => given.get(name)?.place };
}

/** The options that a command offers for the settings, `--config` among them. */
export function settingOptions(table: Settings): SettingOption[] {
  const options = Object.entries(table).map(([name, { kind, help, fallbackText, alias, placeholder }]) => {
    const value = placeholder ?? kind.placeholder;
    const notes = [
      ...(fallbackText === undefined ? [] : [`default ${fallbackText}`]),
      ...(alias === undefined ? [] : [`also --${alias}`]),
    ];
    return {
      name,
      ...(value === undefined ? {} : { value }),
      help: notes.length === 0 ? help : `${help} (${notes.join('; ')})`,
    };
  });
  const config = {
    name: 'config',
    value: 'FILE',
    help: 'YAML file with any of these settings, as "port: 8080". Each may also be given as an environment variable, as POSTHORN_PORT; a flag counts more than a variable, that more than the file',
  };
  const aliases = Object.entries(table).flatMap(([name, { alias, kind, placeholder }]) => {
    const value = placeholder ?? kind.placeholder;
    return alias === undefined
      ? []
      : [{ name: alias, ...(value === undefined ? {} : { value }), help: `The same as --${name}` }];
  });
  return [...options, ...aliases, config];
}

/** From every name, aliases included, to the name in the table. */
function namesOf(table: Settings): Map<string, string> {
  const names = new Map<string, string>();
  for (const [name, { alias }] of Object.entries(table)) {
    names.set(name, name);
    if (alias !== undefined) names.set(alias, name);
  }
  return names;
}

function fromOptions(names: ReadonlyMap<string, string>, options: ConfigInputs['options']): Map<string, Given> {
  const given = new Map<string, Given>();
  for (const [option, value] of Object.entries(options)) {
    const name = names.get(option);
    if (name === undefined || value === undefined) continue;
    const text = value === true ? 'true' : typeof value === 'string' ? value : value.join(',');
    given.set(name, { text, place: `--${option}` });
  }
  return given;
}

function fromEnvironment(
  names: ReadonlyMap<string, string>,
  { env, otherVariables, otherPrefix }: ConfigInputs,
  problems: string[],
): Map<string, Given> {
  const variables = new Map([...names].map(([alias, name]) => [variableOf(alias), name]));
  const allowed = new Set([fileVariable, ...otherVariables]);
  const given = new Map<string, Given>();
  for (const [variable, text = ''] of Object.entries(env)) {
    if (!variable.startsWith('POSTHORN_') || allowed.has(variable) || isServiceLink(variable, text)) continue;
    const name = variables.get(variable);
    if (variable.startsWith(otherPrefix)) continue;
    if (name === undefined) {
      problems.push(
        `environment variable ${variable}: unknown${didYouMean(variable, [...variables.keys(), ...allowed])}`,
      );
    } else if (text !== '') given.set(name, { text, place: variable });
  }
  return given;
}

/**
 * Kubernetes sets variables for the Services of a namespace in each of its pods, those of a Service named `posthorn`
 * too: POSTHORN_SERVICE_HOST, and POSTHORN_PORT=tcp://10.0.0.7:80.
 */
function isServiceLink(variable: string, text: string): boolean {
  if (/_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(variable)) return true;
  return variable.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(text);
}

/** `some-name` -> `POSTHORN_SOME_NAME` */
export function variableOf(name: string): string {
  return `POSTHORN_${name.toUpperCase().replaceAll('-', '_')}`;
}

async function fromFile(
  names: ReadonlyMap<string, string>,
  file: string,
  place: string,
  problems: string[],
): Promise<Map<string, Given>> {
  const given = new Map<string, Given>();
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new UsageError(
      `${place} ${file}: ${fileProblem(error, 'file')}; name a YAML file of settings, as "port: 8080"`,
    );
  });
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const where = (offset: number | undefined): string => `${file}:${lines.linePos(offset ?? 0).line}`;
  for (const error of document.errors) problems.push(`${where(error.pos[0])}: not YAML: ${error.message}`);
  if (document.errors.length > 0 || document.contents === null) return given;
  if (!isMap(document.contents)) {
    problems.push(`${where(document.contents.range?.[0])}: a configuration file is a list of "name: value" lines`);
    return given;
  }
  for (const { key, value } of document.contents.items) {
    const at = where(isScalar(key) ? key.range?.[0] : undefined);
    const called = isScalar(key) ? String(key.value) : String(key);
    const name = names.get(called);
    const content = textOf(value);
    if (name === undefined) problems.push(`${at}: unknown setting ${called}${didYouMean(called, [...names.keys()])}`);
    else if (content === undefined) problems.push(`${at}: ${called} needs one value, or a list of values`);
    else if (given.has(name)) problems.push(`${at}: ${called} is given twice, here and in ${given.get(name)?.place}`);
    else given.set(name, { text: content, place: `${at}: ${called}` });
  }
  return given;
}

/** A value as it stands in the file; of a list the items, joined by commas. */
function textOf(node: unknown): string | undefined {
  if (isSeq(node)) {
    const items = node.items.map(textOf);
    return items.includes(undefined) ? undefined : items.join(',');
  }
  if (isAlias(node) || !isScalar(node) || node.value === null) return undefined;
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
}
