import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { bytes, formatBytes, host, hostPorts, someOf, topicPrefix } from '../../runtime/config-kinds.ts';
import { serveConfig, serveOptions } from '../../runtime/config-serve.ts';
import { UsageError } from '../../runtime/errors.ts';
import { Secret } from '../../runtime/secrets.ts';

t.test('without any setting the defaults hold', async (t) => {
  t.match(await serveConfig({}, {}), {
    log: { kind: 'embedded', directory: './.posthorn' },
    triggers: null,
    prefix: 'posthorn',
    host: '127.0.0.1',
    port: 8080,
    adminHost: '127.0.0.1',
    adminPort: 8081,
    adminToken: null,
    roles: new Set(['ingress', 'dispatcher']),
    eventMaxBytes: 1_048_576,
    eventsRetentionMs: 604_800_000,
    deadLetterRetentionMs: 2_592_000_000,
    windowRecords: 16_384,
    waitingEventsMax: 1_024,
    shutdownTimeoutMs: 30_000,
    logLevel: 'info',
  });
});

t.test('a flag counts more than the environment, that more than the file, that more than the default', async (t) => {
  const file = join(
    t.testdir({ 'posthorn.yaml': 'port: 1001\nadmin-port: 1002\nowner: file\nhost: ::1\n' }),
    'posthorn.yaml',
  );
  const env = { POSTHORN_PORT: '2001', POSTHORN_ADMIN_PORT: '2002' };
  const { port, adminPort, owner, host, prefix } = await serveConfig({ port: '3001', config: file }, env);
  t.strictSame(
    { port, adminPort, owner, host, prefix },
    { port: 3001, adminPort: 2002, owner: 'file', host: '::1', prefix: 'posthorn' },
  );
  const byVariable = await serveConfig({}, { POSTHORN_CONFIG: file });
  t.equal(byVariable.owner, 'file', 'the file may be named by a variable');
});

t.test('every setting has the same name as flag, variable and key', async (t) => {
  const directory = t.testdir({ secret: 's3cret\n', 'ca.pem': 'PEM', secrets: { orders: 'new\nold\n' } });
  const given: Record<string, string> = {
    kafka: 'kafka-1:9092,[::1]:9093',
    'kafka-tls': 'true',
    'kafka-tls-ca-file': join(directory, 'ca.pem'),
    'kafka-sasl-mechanism': 'scram-sha-512',
    'kafka-sasl-username': 'posthorn',
    'kafka-sasl-password-file': join(directory, 'secret'),
    triggers: './triggers',
    owner: 'team-a',
    log: 'kafka',
    data: '/var/lib/posthorn',
    prefix: 'eqiad.posthorn',
    host: '0.0.0.0',
    port: '0',
    'admin-host': '::',
    'admin-port': '65535',
    'admin-token-file': join(directory, 'secret'),
    secrets: join(directory, 'secrets'),
    webhooks: './webhooks.yaml',
    schemas: './schemas',
    'schema-registry': 'https://schemas.example.com/v1',
    'webhook-origin': 'events.example.com',
    'webhook-callback-url': 'https://events.example.com/in/',
    roles: 'dispatcher,ingress',
    workers: '3',
    'event-max-bytes': '2MiB',
    'batch-max-bytes': '4194304',
    partitions: '24',
    'replication-factor': '2',
    'events-retention': 'P14D',
    'dead-letter-retention': 'forever',
    'window-records': '4096',
    'window-bytes': '32MiB',
    'waiting-events-max': '64',
    'response-max-bytes': '64KiB',
    'retry-groups': '2',
    'shutdown-timeout': '1m30s',
    'log-level': 'debug',
    'log-format': 'text',
  };
  const expected = {
    log: {
      kind: 'kafka',
      brokers: ['kafka-1:9092', '[::1]:9093'],
      tls: { ca: 'PEM' },
      sasl: { mechanism: 'scram-sha-512', username: 'posthorn', password: 's3cret' },
    },
    triggers: './triggers',
    owner: 'team-a',
    prefix: 'eqiad.posthorn',
    webhooks: './webhooks.yaml',
    schemas: './schemas',
    schemaRegistry: 'https://schemas.example.com/v1',
    webhookOrigin: 'events.example.com',
    webhookCallbackUrl: 'https://events.example.com/in',
    roles: new Set(['dispatcher', 'ingress']),
    workers: 3,
    host: '0.0.0.0',
    port: 0,
    adminHost: '::',
    adminPort: 65_535,
    adminToken: 's3cret',
    secrets: new Map([['orders', new Secret('orders', ['new', 'old'])]]),
    eventMaxBytes: 2_097_152,
    batchMaxBytes: 4_194_304,
    partitions: 24,
    replicationFactor: 2,
    eventsRetentionMs: 1_209_600_000,
    deadLetterRetentionMs: null,
    windowRecords: 4_096,
    windowBytes: 33_554_432,
    waitingEventsMax: 64,
    responseMaxBytes: 65_536,
    retryGroups: 2,
    shutdownTimeoutMs: 90_000,
    logLevel: 'debug',
    logFormat: 'text',
  };
  const offered = serveOptions
    .map(({ name }) => name)
    .filter((name) => name !== 'config' && name !== 'bootstrap-server');
  t.strictSame(offered.sort(), Object.keys(given).sort(), 'this test gives every setting');

  const flags = { ...given, 'kafka-tls': true as const };
  t.strictSame(await serveConfig(flags, {}), expected, 'as flags');
  const variables = Object.fromEntries(
    Object.entries(given).map(([name, text]) => [`POSTHORN_${name.toUpperCase().replaceAll('-', '_')}`, text]),
  );
  t.strictSame(await serveConfig({}, variables), expected, 'as variables');
  const file = join(directory, 'all.yaml');
  const keys = Object.entries(given).map(([name, text]) => `${name}: ${/^[[:]/.test(text) ? `'${text}'` : text}\n`);
  await writeFile(file, keys.join(''));
  t.strictSame(await serveConfig({ config: file }, {}), expected, 'as keys of the file');
});

t.test('what is unknown is refused with where it stands and the nearest name', async (t) => {
  const file = join(t.testdir({ 'posthorn.yaml': '# settings\nport: 8080\nadmin_port: 8081\n' }), 'posthorn.yaml');
  await t.rejects(
    serveConfig({ config: file }, {}),
    new UsageError(`${file}:3: unknown setting admin_port; did you mean admin-port?`),
  );
  await t.rejects(
    serveConfig({}, { POSTHORN_PROT: '1' }),
    new UsageError('environment variable POSTHORN_PROT: unknown; did you mean POSTHORN_PORT?'),
  );
  await t.resolves(serveConfig({}, { POSTHORN_SERVER: 'http://x', POSTHORN_DEBUG: '1', POSTHORN_PORT: '' }));
});

t.test("Kubernetes' variables for a Service named posthorn are no settings", async (t) => {
  const env = {
    POSTHORN_PORT: 'tcp://10.0.0.7:80',
    POSTHORN_PORT_80_TCP: 'tcp://10.0.0.7:80',
    POSTHORN_PORT_80_TCP_ADDR: '10.0.0.7',
    POSTHORN_PORT_80_TCP_PORT: '80',
    POSTHORN_PORT_80_TCP_PROTO: 'tcp',
    POSTHORN_SERVICE_HOST: '10.0.0.7',
    POSTHORN_SERVICE_PORT: '80',
    POSTHORN_SERVICE_PORT_HTTP: '80',
    POSTHORN_ADMIN_PORT: 'tcp://10.0.0.8:81',
    POSTHORN_ADMIN_SERVICE_HOST: '10.0.0.8',
  };
  t.match(await serveConfig({}, env), { port: 8080, adminPort: 8081 });
});

t.test('a bad value says what would be right, and all problems are told at once', async (t) => {
  const refusals: [string, string, RegExp][] = [
    ['port', '70000', /^--port must be a port, 0 to 65535 .*, not "70000"$/],
    ['event-max-bytes', '1 MB or so', /must be a size from 1KiB to 64MiB, as 65536, 64KiB or 1MiB/],
    ['events-retention', '7 days', /must be a length of time from 1h to 3650d, as 12h, 7d or P30D, or forever/],
    ['shutdown-timeout', '2h', /up to 1h/],
    ['log', 'redis', /must be embedded or kafka/],
    ['roles', 'ingress,egress', /one or more of ingress and dispatcher, separated by commas/],
    ['kafka', 'kafka-1', /addresses with ports, as kafka-1:9092,kafka-2:9092/],
    ['prefix', 'a..b', /as posthorn or eqiad\.posthorn/],
    ['partitions', '0', /a whole number, 1 to 1000/],
    ['log-level', 'loud', /trace, debug, info, warn, error, fatal or silent/],
  ];
  for (const [name, text, message] of refusals) {
    await t.rejects(serveConfig({ [name]: text }, {}), { code: 'USAGE', message }, `${name} ${text}`);
  }
  await t.rejects(serveConfig({ port: 'x' }, { POSTHORN_PARTITIONS: '1.5' }), {
    message: /^--port must be [^\n]+\nPOSTHORN_PARTITIONS must be [^\n]+$/,
  });
});

t.test('settings that contradict each other are refused', async (t) => {
  const directory = t.testdir({ empty: '', token: 'x' });
  const refusals: [Record<string, string | true>, RegExp][] = [
    [{ log: 'embedded', kafka: 'a:1' }, /^--kafka has no use, since --log asks for the embedded log$/],
    [{ log: 'embedded', 'bootstrap-server': 'a:1' }, /^--bootstrap-server has no use/],
    [{ log: 'kafka' }, /^--log kafka needs the addresses of its brokers/],
    [{ 'kafka-tls': true }, /^--kafka-tls has no use, since no kafka is given$/],
    [{ workers: '2' }, /^--workers 2 needs Kafka \(--kafka\): the embedded log has one process$/],
    [{ kafka: 'a:1', 'kafka-tls-ca-file': 'ca.pem' }, /^--kafka-tls-ca-file needs kafka-tls too$/],
    [{ kafka: 'a:1', 'kafka-sasl-username': 'u' }, /needs kafka-sasl-mechanism and kafka-sasl-password-file too$/],
    [{ port: '9000', 'admin-port': '9000' }, /port and admin-port are both 9000 on 127\.0\.0\.1/],
    [
      { 'event-max-bytes': '16MiB' },
      /batch-max-bytes \(8MiB\) must hold at least one event of event-max-bytes \(16MiB\)/,
    ],
    [
      { 'admin-token-file': join(directory, 'empty') },
      /^--admin-token-file \S+empty: must hold one line, the secret itself$/,
    ],
    [
      { 'admin-token-file': join(directory, 'none') },
      /^--admin-token-file \S+none: there is no such file \(ENOENT\); name a file that holds the token$/,
    ],
    [
      { kafka: 'a:1', 'kafka-tls': true, 'kafka-tls-ca-file': directory },
      /^--kafka-tls-ca-file \S+: it is a directory, not a file \(EISDIR\); name a PEM file/,
    ],
    [
      { config: join(directory, 'none') },
      /^--config \S+none: there is no such file \(ENOENT\); name a YAML file of settings/,
    ],
  ];
  for (const [options, message] of refusals) {
    await t.rejects(serveConfig(options, {}), { code: 'USAGE', message }, JSON.stringify(options));
  }
});

t.test('--kafka and its other name --bootstrap-server imply the Kafka log', async (t) => {
  const expected = { log: { kind: 'kafka', brokers: ['a:1'], tls: null, sasl: null } };
  t.match(await serveConfig({ kafka: 'a:1' }, {}), expected);
  t.match(await serveConfig({ 'bootstrap-server': 'a:1' }, {}), expected);
  t.match(await serveConfig({}, { POSTHORN_BOOTSTRAP_SERVER: 'a:1' }), expected);
});

t.test('a file that is no list of settings is refused with the line', async (t) => {
  const directory = t.testdir({
    'broken.yaml': 'port: 1\nhost: [\n',
    'list.yaml': '- port\n',
    'nested.yaml': 'port:\n  number: 1\n',
    'nothing.yaml': 'port:\n',
    'twice.yaml': 'kafka: a:1\nbootstrap-server: b:1\n',
    'empty.yaml': '# all defaults\n',
    'sequence.yaml': 'kafka: [a:1, b:2]\nport: 0o17\n',
  });
  const refusals: [string, RegExp][] = [
    ['broken.yaml', /broken\.yaml:[23]: not YAML: /],
    ['list.yaml', /list\.yaml:1: a configuration file is a list of "name: value" lines/],
    ['nested.yaml', /nested\.yaml:1: port needs one value, or a list of values/],
    ['nothing.yaml', /nothing\.yaml:1: port needs one value/],
    ['twice.yaml', /twice\.yaml:2: bootstrap-server is given twice, here and in .*twice\.yaml:1: kafka/],
    ['sequence.yaml', /sequence\.yaml:2: port must be a port/],
  ];
  for (const [file, message] of refusals)
    await t.rejects(serveConfig({ config: join(directory, file) }, {}), { message }, file);
  await t.resolves(serveConfig({ config: join(directory, 'empty.yaml') }, {}));
  t.match(await serveConfig({ config: join(directory, 'sequence.yaml'), port: '1' }, {}), {
    log: { brokers: ['a:1', 'b:2'] },
  });
});

t.test('each kind takes what it says and nothing else', async (t) => {
  const size = bytes(1, 2 ** 40);
  t.strictSame(
    ['65536', '64KiB', '64kib', '1.5MiB', '2 GB', '10B'].map(size.parse),
    [65_536, 65_536, 65_536, 1_572_864, 2e9, 10],
  );
  t.strictSame(['', 'KiB', '-1', '1.0000001KiB', '1TiB', '0x10', '1e3', '0'].map(size.parse), Array(8).fill(undefined));
  t.strictSame([1, 1_024, 1_536, 1_048_576, 3 * 2 ** 30].map(formatBytes), ['1B', '1KiB', '1536B', '1MiB', '3GiB']);
  t.strictSame(['a:1', 'a:1, b:2', '[::1]:9092'].map(hostPorts.parse), [['a:1'], ['a:1', 'b:2'], ['[::1]:9092']]);
  t.strictSame(
    ['', 'a', 'a:0', 'a:65536', ':1', 'a:1,', '::1:9092', 'a b:1'].map(hostPorts.parse),
    Array(8).fill(undefined),
  );
  t.strictSame(['', '.a', 'a.', 'a..b', 'a_b', 'a'.repeat(64)].map(topicPrefix.parse), Array(6).fill(undefined));
  t.strictSame(['localhost', '0.0.0.0', '::1', 'a b', ''].map(host.parse), [
    'localhost',
    '0.0.0.0',
    '::1',
    undefined,
    undefined,
  ]);
  t.strictSame(someOf(['a', 'b']).parse('b, a'), new Set(['b', 'a']));
  t.equal(someOf(['a', 'b']).parse(''), undefined);
});
