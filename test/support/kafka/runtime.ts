import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const kafkaVersion = '4.3.1';

/** What a Kafka process of a test is started with. */
export interface KafkaRuntime {
  readonly kind: 'java' | 'docker';
  /**
   * The command that runs a Java class of Kafka in the foreground.
   * @param name of the container, where there is one
   * @param directory the only folder that the command can write
   */
  command(name: string, directory: string, java: readonly string[]): [string, ...string[]];
}

/** As much heap as a broker of a test gets, in MiB: three of them and the tests fit into 4 GiB. */
const heapMib = 512;

const howToGetOne = `The tests need a real Kafka. Any of these will do:
  - Java 17 or later with Maven (Debian: apt-get install default-jdk-headless maven)
  - Docker
  - a Kafka that runs already: KAFKA_BROKERS=host:port npm test`;

/** @throws Error saying how to get a Kafka, where neither Java with Maven nor Docker is there. */
export async function findKafkaRuntime(): Promise<KafkaRuntime> {
  const reasons: string[] = [];
  try {
    return javaRuntime(await requireJars());
  } catch (error) {
    reasons.push(`Java: ${firstLine(error)}`);
  }
  try {
    await run('docker', ['info', '--format', '{{.ServerVersion}}'], { timeout: 20_000 });
    return dockerRuntime();
  } catch (error) {
    reasons.push(`Docker: ${firstLine(error)}`);
  }
  throw new Error(`${howToGetOne}\nWhat was tried:\n  - ${reasons.join('\n  - ')}`);
}

function javaRuntime(jars: string): KafkaRuntime {
  return {
    kind: 'java',
    command: (_name, _directory, java) => ['java', ...jvmOptions, '-cp', `${jars}/*`, ...java],
  };
}

/**
 * The official image with the network and the folder of the host, so that one server.properties serves both runtimes
 * (on macOS Docker Desktop has to have host networking switched on).
 */
function dockerRuntime(): KafkaRuntime {
  const user = `${process.getuid?.() ?? 1000}:${process.getgid?.() ?? 1000}`;
  return {
    kind: 'docker',
    command: (name, directory, java) => [
      'docker',
      ...['run', '--rm', '--name', name, '--network', 'host', '--user', user],
      ...['--volume', `${directory}:${directory}`, '--entrypoint', 'java', `apache/kafka:${kafkaVersion}`],
      ...jvmOptions,
      ...['-cp', '/opt/kafka/libs/*', ...java],
    ],
  };
}

/** Short-lived processes on few cores: the serial collector and the first compiler alone start soonest. */
const jvmOptions = [
  `-Xmx${heapMib}m`,
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
];

/** Kafka's jars, from Maven's repository the first time. Callers at the same time, in other processes too, are safe. */
async function requireJars(): Promise<string> {
  await requireJava17();
  const cache = path.resolve(import.meta.dirname, '../../../node_modules/.cache/posthorn');
  const jars = path.join(cache, `kafka-${kafkaVersion}`);
  if (existsSync(jars)) return jars;

  await mkdir(cache, { recursive: true });
  const scratch = await mkdtemp(path.join(cache, 'download-'));
  try {
    await writeFile(path.join(scratch, 'pom.xml'), pom());
    const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
    await runQuietly('mvn', ['-B', '-q', goal, '-DincludeScope=runtime', '-DoutputDirectory=jars'], scratch);
    // The folder appears whole or not at all; whoever comes second finds that of the first.
    await rename(path.join(scratch, 'jars'), jars).catch((error: unknown) => {
      if (!existsSync(jars)) throw error;
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return jars;
}

async function requireJava17(): Promise<void> {
  const { stderr, stdout } = await run('java', ['-version']);
  const version = /version "(\d+)/.exec(stderr + stdout)?.[1];
  if (version === undefined || Number(version) < 17) {
    throw new Error(`Kafka ${kafkaVersion} needs Java 17 or later, this is ${version ?? 'of an unknown version'}`);
  }
}

function runQuietly(command: string, args: readonly string[], cwd: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${command} ended with ${code}: ${output.trim().slice(0, 2_000)}`));
    });
  });
}

function pom(): string {
  const dependencies = [
    ['org.apache.kafka', 'kafka_2.13', kafkaVersion],
    ['org.apache.kafka', 'kafka-tools', kafkaVersion],
    ['org.slf4j', 'slf4j-simple', '1.7.36'],
  ].map(
    ([group, artifact, version]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
  );
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>posthorn</groupId><artifactId>kafka-for-tests</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>${dependencies.join('\n')}</dependencies></project>
`;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).trim().split('\n').slice(0, 3).join(' ');
}
