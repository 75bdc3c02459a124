import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { copyJars } from '../support/kafka/runtime.ts';
import { kept, runQuietly } from '../support/kept.ts';

/** A command with what it needs, ready to be run. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const here = import.meta.dirname;

/** The packages of a requirements.txt, by pip, for the Python that is there. */
export async function pythonPackages(folder: string): Promise<string> {
  const version = await requireTool(python);
  const requirements = path.join(here, folder, 'requirements.txt');
  return kept(`python-${digestOf([requirements], version)}`, async (target) => {
    const options = ['--require-hashes', '--only-binary', ':all:', '--no-deps', '--root-user-action', 'ignore'];
    const quiet = ['--quiet', '--disable-pip-version-check'];
    await runQuietly('python3', ['-m', 'pip', 'install', ...quiet, ...options, '--target', target, '-r', requirements]);
  });
}

export async function javascriptPeer(): Promise<Program> {
  return { command: process.execPath, args: [path.join(here, 'javascript/peer.ts')], env: {} };
}

export async function pythonPeer(): Promise<Program> {
  const packages = await pythonPackages('python');
  return { command: 'python3', args: [path.join(here, 'python/peer.py')], env: { PYTHONPATH: packages } };
}

/** Built by Go, which takes a while the first time. */
export async function goPeer(): Promise<Program> {
  const version = await requireTool(go);
  const folder = path.join(here, 'go');
  const files = readdirSync(folder).map((file) => path.join(folder, file));
  const built = await kept(`go-${digestOf(files, version)}`, async (target) => {
    // Files of the same name elsewhere, as of a workspace around the checkout, have no say.
    const env = { GOWORK: 'off', GOFLAGS: '-mod=readonly', CGO_ENABLED: '0' };
    await runQuietly('go', ['build', '-buildvcs=false', '-o', path.join(target, 'peer'), '.'], { cwd: folder, env });
  });
  return { command: path.join(built, 'peer'), args: [], env: {} };
}

/** Compiled by Java as it starts. */
export async function javaPeer(): Promise<Program> {
  const pom = path.join(here, 'java/pom.xml');
  await requireTool(java);
  await requireTool(maven);
  const jars = await kept(`java-${digestOf([pom], '')}`, (target) => copyJars(pom, target));
  const options = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
  const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error';
  return {
    command: 'java',
    args: [...options, quiet, '-cp', `${jars}/*`, path.join(here, 'java/Peer.java')],
    env: { LC_ALL: 'C.UTF-8' },
  };
}

/** Serves the function of this folder, with deliveries as CloudEvents, on this port. */
export async function nodeFunctions(port: number): Promise<Program> {
  const main = path.join(here, '../../node_modules/.bin/functions-framework');
  return { command: process.execPath, args: [main, ...functionOptions('node', port)], env: {} };
}

/** The same for Python. */
export async function pythonFunctions(port: number): Promise<Program> {
  const packages = await pythonPackages('functions/python');
  const script = 'from functions_framework._cli import _cli; _cli()';
  const options = functionOptions('python', port);
  options[1] += '/main.py';
  return { command: 'python3', args: ['-c', script, ...options, '--host', '127.0.0.1'], env: { PYTHONPATH: packages } };
}

function functionOptions(folder: string, port: number): string[] {
  const source = path.join(here, 'functions', folder);
  return ['--source', source, '--target', 'handle', '--signature-type', 'cloudevent', '--port', String(port)];
}

interface Tool {
  readonly command: string;
  /** What prints its version. */
  readonly args: readonly string[];
  readonly name: string;
  /** Finds its version, the second number if the first is always the same. */
  readonly version: RegExp;
  readonly least: number;
  readonly debian: string;
}

const python: Tool = {
  command: 'python3',
  args: ['-m', 'pip', '--version'],
  name: 'Python 3.10 or later with pip',
  version: /\(python 3\.(\d+)\)/,
  least: 10,
  debian: 'python3 python3-pip',
};

const go: Tool = {
  command: 'go',
  args: ['version'],
  name: 'Go 1.23 or later',
  version: /go1\.(\d+)/,
  least: 23,
  debian: 'golang-go',
};

const java: Tool = {
  command: 'java',
  args: ['-version'],
  name: 'Java 17 or later',
  version: /version "(\d+)/,
  least: 17,
  debian: 'default-jdk-headless',
};

const maven: Tool = {
  command: 'mvn',
  args: ['--version'],
  name: 'Maven 3',
  version: /Maven (\d+)/,
  least: 3,
  debian: 'maven',
};

/** @returns what it prints as its version. @throws Error that says what is wanted, what was seen, and how to get it */
async function requireTool({ command, args, name, version, least, debian }: Tool): Promise<string> {
  const asked = [command, ...args].join(' ');
  const printed = await runQuietly(command, args).catch((error: unknown) => `${asked} does not run: ${error}`);
  if (Number(version.exec(printed)?.[1] ?? 0) >= least) return printed;
  throw new Error(`this test needs ${name} (Debian: apt-get install ${debian}); \`${asked}\` says: ${printed.trim()}`);
}

function digestOf(files: readonly string[], more: string): string {
  const hash = createHash('sha256').update(more);
  for (const file of files) hash.update(path.basename(file)).update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
}
