import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { parseManifests } from '../../broker/trigger/manifest.ts';
import { serveConfig } from '../../runtime/config-serve.ts';

const folder = path.resolve(import.meta.dirname, '../../deploy');

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly environment: Readonly<Record<string, string | number>>;
  readonly ports: readonly string[];
  readonly volumes: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly stop_grace_period?: string;
}

const compose = parse(readFileSync(path.join(folder, 'compose.yaml'), 'utf8')) as {
  readonly services: { readonly kafka: Service; readonly posthorn: Service };
  readonly volumes: Readonly<Record<string, unknown>>;
};
const { kafka, posthorn } = compose.services;
const kafkaSettings = Object.fromEntries(
  Object.entries(kafka.environment).map(([name, value]) => [name, String(value)]),
);

/** `A://h:1,B://:2` by the names before the colon. */
function listeners(text = ''): Record<string, string> {
  return Object.fromEntries(text.split(',').map((one) => [one.split(':')[0] ?? '', one.slice(one.indexOf(':') + 1)]));
}

t.test('Kafka runs in KRaft mode as one node that both containers and the machine reach', async (t) => {
  t.match(kafka.image, /^apache\/kafka:4\.\d+\.\d+$/);
  t.equal(kafkaSettings.KAFKA_PROCESS_ROLES, 'broker,controller');
  const listening = listeners(kafkaSettings.KAFKA_LISTENERS);
  const advertised = listeners(kafkaSettings.KAFKA_ADVERTISED_LISTENERS);
  const protocols = listeners(kafkaSettings.KAFKA_LISTENER_SECURITY_PROTOCOL_MAP);
  t.strictSame(Object.keys(protocols).sort(), Object.keys(listening).sort());
  const controller = kafkaSettings.KAFKA_CONTROLLER_LISTENER_NAMES ?? '';
  t.strictSame(
    Object.keys(advertised).sort(),
    Object.keys(listening)
      .filter((name) => name !== controller)
      .sort(),
  );
  for (const [name, address] of Object.entries(advertised)) {
    t.equal(address.split(':').at(-1), listening[name]?.split(':').at(-1), `${name} is advertised on its own port`);
  }
  const node = kafkaSettings.KAFKA_NODE_ID;
  t.equal(
    kafkaSettings.KAFKA_CONTROLLER_QUORUM_VOTERS,
    `${node}@localhost:${listening[controller]?.split(':').at(-1)}`,
  );
  t.ok(
    Object.values(advertised).includes(`//${posthorn.environment.POSTHORN_KAFKA}`),
    'Posthorn connects to Kafka there',
  );
  t.ok(kafka.ports.includes('127.0.0.1:9092:9092'), 'this machine connects to it at localhost:9092');
  t.ok(Object.values(advertised).includes('//localhost:9092'));
  for (const [name, value] of Object.entries(kafkaSettings)) {
    if (/REPLICATION_FACTOR|MIN_ISR/.test(name)) t.equal(value, '1', `${name} fits one node`);
  }
});

t.test('Kafka keeps its data, and Posthorn waits until it is healthy', async (t) => {
  const [volume = '', target] = kafka.volumes[0]?.split(':') ?? [];
  t.ok(volume in compose.volumes);
  t.equal(target, kafkaSettings.KAFKA_LOG_DIRS);
  t.equal(kafka.healthcheck?.test[0], 'CMD');
  t.strictSame(posthorn.depends_on, { kafka: { condition: 'service_healthy' } });
});

t.test('serve takes the settings of the compose file, and drains before it is killed', async (t) => {
  const env = Object.fromEntries(Object.entries(posthorn.environment).map(([name, value]) => [name, String(value)]));
  const config = await serveConfig({}, env);
  t.equal(config.log.kind, 'kafka');
  t.equal(config.replicationFactor, 1, 'one node holds one copy');
  const [from = '', to, mode] = posthorn.volumes[0]?.split(':') ?? [];
  t.equal(to, config.triggers, 'the triggers are mounted where Posthorn looks');
  t.equal(mode, 'ro');
  t.ok(Number.parseInt(posthorn.stop_grace_period ?? '', 10) * 1_000 > config.shutdownTimeoutMs);
  t.strictSame(posthorn.ports, ['127.0.0.1:8080:8080', '127.0.0.1:8081:8081'], 'for this machine alone');
  t.equal(path.resolve(folder, posthorn.build?.context ?? ''), path.dirname(folder));
  t.equal(posthorn.build?.dockerfile, 'deploy/Dockerfile');

  const file = path.join(folder, from, 'hello.yaml');
  const { documents, problems } = parseManifests(readFileSync(file, 'utf8'), file);
  t.equal(documents.length, 1);
  t.strictSame(problems, []);
});
