import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { UsageError } from './errors.ts';
import { fileProblem } from './file-problem.ts';
import { didYouMean } from './nearest.ts';

/**
 * A secret of the configuration, and the one before it while it is being replaced. However it is printed, what comes
 * out is `[secret NAME]`.
 */
export class Secret {
  readonly name: string;
  readonly #values: readonly string[];

  /** @param values the one in force first; one or two */
  constructor(name: string, values: readonly string[]) {
    this.name = name;
    this.#values = values;
  }

  /** The texts themselves, the one in force first: for whoever makes keys of them, and nobody else. */
  reveal(): readonly string[] {
    return this.#values;
  }

  toString(): string {
    return `[secret ${this.name}]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** The secrets of the configuration by their names. */
export type Secrets = ReadonlyMap<string, Secret>;

export const noSecrets: Secrets = new Map();

/** Names are those of DNS labels, so that each has one spelling as a file and as a variable. */
const namePattern = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** What the right name would be, for messages. */
export const secretNameRule = 'lower-case letters, digits and dashes, at most 63 characters';

export function isSecretName(text: string): boolean {
  return namePattern.test(text);
}

/** What variables with a secret begin with: POSTHORN_SECRET_SHOP_ORDERS holds the secret `shop-orders`. */
export const secretVariablePrefix = 'POSTHORN_SECRET_';

/** Keys are tens of bytes long; a file of more was named by mistake. */
const secretMaxBytes = 4_096;

/**
 * Reads the secrets: each file of the directory is one, by its name, and each variable POSTHORN_SECRET_NAME. It holds
 * one line, or two while it is being replaced: the new one, and below it the old one.
 * @param directory null: there is none
 * @param place what names the directory, for messages (`--secrets`)
 * @throws UsageError that never shows what a file or a variable holds
 */
export async function readSecrets(
  directory: string | null,
  place: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Secrets> {
  const secrets = new Map<string, Secret>();
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(secretVariablePrefix) || text === undefined || text === '') continue;
    const name = variable.slice(secretVariablePrefix.length).toLowerCase().replaceAll('_', '-');
    const where = `environment variable ${variable}`;
    if (!isSecretName(name)) throw new UsageError(`${where}: a secret's name has ${secretNameRule}, - as _ here`);
    secrets.set(name, new Secret(name, valuesOf(text, where)));
  }
  if (directory === null) return secrets;
  for (const [name, file] of await filesOf(directory, place)) {
    if (!isSecretName(name)) {
      throw new UsageError(`${place} ${file}: the name of the file is that of the secret, which has ${secretNameRule}`);
    }
    if (secrets.has(name)) {
      const variable = `${secretVariablePrefix}${name.toUpperCase().replaceAll('-', '_')}`;
      throw new UsageError(`the secret ${name} is given twice, as ${file} and as ${variable}; keep one of the two`);
    }
    secrets.set(name, new Secret(name, valuesOf(await textOf(file, place), `${place} ${file}`)));
  }
  return secrets;
}

/** For the end of a message: what is known in place of a name that is not. */
export function unknownSecret(name: string, secrets: Secrets): string {
  const names = [...secrets.keys()].sort();
  const known = names.length === 0 ? 'none is configured' : `known: ${names.join(', ')}`;
  return `there is no secret ${name} (${known})${didYouMean(name, names) || '; put it into the directory of --secrets'}`;
}

/** Files and links to files; a mounted Kubernetes Secret has them as links, behind hidden names. */
async function filesOf(directory: string, place: string): Promise<[name: string, file: string][]> {
  try {
    const names = (await readdir(directory)).filter((name) => !name.startsWith('.')).sort();
    const files = names.map((name): [string, string] => [name, join(directory, name)]);
    const isFile = await Promise.all(files.map(async ([, file]) => (await stat(file)).isFile()));
    return files.filter((_, index) => isFile[index]);
  } catch (error) {
    const problem = fileProblem(error, 'directory');
    throw new UsageError(`${place} ${directory}: ${problem}; name a directory with a file for each secret`, {
      cause: error,
    });
  }
}

async function textOf(file: string, place: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${place} ${file}: ${fileProblem(error, 'file')}`, { cause: error });
  }
}

function valuesOf(text: string, where: string): string[] {
  const right = 'must hold one line, the secret itself, or two while it is replaced: the new one, then the old one';
  if (Buffer.byteLength(text) > secretMaxBytes) {
    throw new UsageError(`${where}: ${right}; it has more than ${secretMaxBytes} bytes`);
  }
  const lines = text.replace(/\r?\n$/, '').split(/\r?\n/);
  if (lines.length > 2 || lines.some((line) => line === '' || line !== line.trim())) {
    throw new UsageError(`${where}: ${right}, without empty lines and outer spaces`);
  }
  return lines;
}
