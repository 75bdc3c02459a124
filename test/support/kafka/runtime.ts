import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { kept, runQuietly } from '../kept.ts';

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

/** Kafka's jars, from Maven's repository the first time. */
async function requireJars(): Promise<string> {
  await requireJava17();
  return kept(`kafka-${kafkaVersion}`, async (folder) => {
    const scratch = await mkdtemp(path.join(tmpdir(), 'posthorn-pom-'));
    try {
      const file = path.join(scratch, 'pom.xml');
      await writeFile(file, pom());
      await copyJars(file, folder);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  });
}

/** Copies all jars that a pom.xml names, and those that they need, into a folder. */
export async function copyJars(pomFile: string, folder: string): Promise<void> {
  const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
  const options = ['-DincludeScope=runtime', `-DoutputDirectory=${folder}`];
  await runQuietly('mvn', ['-B', '-q', '-f', pomFile, goal, ...options]);
}

async function requireJava17(): Promise<void> {
  const { stderr, stdout } = await run('java', ['-version']);
  const version = /version "(\d+)/.exec(stderr + stdout)?.[1];
  if (version === undefined || Number(version) < 17) {
    throw new Error(`Kafka ${kafkaVersion} needs Java 17 or later, this is ${version ?? 'of an unknown version'}`);
  }
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
