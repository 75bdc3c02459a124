import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Logger, pino } from 'pino';
import t, { type Test } from 'tap';
import type { Brokers } from '../../broker/brokers.ts';
import { watchDirectory } from '../../broker/trigger/watch-directory.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { until } from '../support/until.ts';
import { applyTexts, brokerText, openLog, shared, startBrokers, triggerText } from './setup.ts';

t.test('what the directory holds is applied at the start, and each change of it after', async (t) => {
  const { brokers, directory, start, becomes } = await setUp(t);
  await writeFile(join(directory, 'a.yaml'), triggerText('a'));
  await writeFile(join(directory, 'notes.txt'), 'not a manifest');
  await start();
  t.strictSame(namesIn(brokers), ['a'], 'there when the start returns');
  await writeFile(join(directory, 'b.yml'), triggerText('b'));
  await becomes(['a', 'b']);
  await rm(join(directory, 'a.yaml'));
  await becomes(['b']);
  const [stored] = brokers.get('default', 'default')?.stored().triggers.values() ?? [];
  t.equal(stored?.owner, 'directory');
});

t.test(
  'a bad file changes nothing that it held, the others apply, and nothing is pruned until it is mended',
  async (t) => {
    const { brokers, directory, start, becomes, lines } = await setUp(t);
    await writeFile(join(directory, 'a.yaml'), triggerText('a'));
    await writeFile(join(directory, 'b.yaml'), triggerText('b'));
    await start();
    await writeFile(join(directory, 'a.yaml'), triggerText('a').replace('subscriber', 'subscribr'));
    await rm(join(directory, 'b.yaml'));
    await writeFile(join(directory, 'c.yaml'), triggerText('c'));
    await becomes(['a', 'b', 'c']);
    const error = lines('error').find(({ field }) => field === 'spec.subscribr');
    t.match(error, { file: join(directory, 'a.yaml'), line: 6, column: 3, field: 'spec.subscribr' });
    t.match(error?.msg, /a\.yaml:6:3: spec\.subscribr: .*subscriber.*stays in force/);
    t.equal(uriOf(brokers, 'a'), 'http://handler.example/');

    await writeFile(join(directory, 'a.yaml'), triggerText('a', { uri: 'http://mended.example/' }));
    await becomes(['a', 'c']);
    t.equal(uriOf(brokers, 'a'), 'http://mended.example/');
  },
);

t.test('what a file held that turned bad is in force after a restart as well', async (t) => {
  const { log, directory, start, newBrokers } = await setUp(t);
  await writeFile(join(directory, 'a.yaml'), triggerText('a'));
  await (await start()).close();
  await writeFile(join(directory, 'a.yaml'), 'kind: [');
  const again = await newBrokers(log);
  await start(again);
  t.strictSame(namesIn(again), ['a']);
});

t.test('a file that is refused for what is outside of it is applied once that has changed', async (t) => {
  const { brokers, directory, start, becomes, lines } = await setUp(t);
  await writeFile(join(directory, 'a.yaml'), triggerText('a'));
  await writeFile(join(directory, 'shop.yaml'), triggerText('s', { broker: 'shop' }));
  await start();
  t.strictSame(namesIn(brokers), ['a']);
  t.match(lines('error'), [{ msg: /shop\.yaml:6:11: spec\.broker: no broker default\/shop/ }]);
  await applyTexts(brokers, [brokerText('shop')]);
  await becomes(['a', 's']);
  t.equal(lines('error').length, 1, 'said once');
});

t.test('a Broker whose external topic comes later is applied then, and so are its triggers', async (t) => {
  const { brokers, log, directory, start, becomes, lines } = await setUp(t);
  const external = { annotations: 'kafka.eventing.knative.dev/external.topic: eqiad.page_change' };
  await writeFile(join(directory, 'pages.yaml'), brokerText('pages', external));
  await writeFile(join(directory, 'p.yaml'), triggerText('p', { broker: 'pages' }));
  await start();
  t.strictSame(namesIn(brokers), []);
  t.match(lines('error'), [
    { msg: /pages\.yaml:6:48: .*the log has no topic eqiad\.page_change; .* tried again every 5 s$/ },
    { msg: /p\.yaml:6:11: spec\.broker: no broker default\/pages; .* tried again every 5 s$/ },
  ]);
  await log.ensureTopics(['eqiad.page_change'], { partitions: 1, retentionMs: null, maxMessageBytes: 100_000 });
  await becomes(['p']);
  t.equal(brokers.get('default', 'pages')?.topics().events, 'eqiad.page_change');
  t.equal(lines('error').length, 2, 'each said once');
});

t.test('nothing is deleted because the directory is empty, missing or unreadable', async (t) => {
  const { brokers, directory, start, tick, lines } = await setUp(t);
  await writeFile(join(directory, 'a.yaml'), triggerText('a'));
  await start();
  await rm(join(directory, 'a.yaml'));
  await until(() => tick(() => lines('warn').length > 0), 'the empty directory is noticed');
  t.match(lines('warn'), [{ msg: /no trigger in .*; the 1 that came from it stay in force/ }]);
  await rm(directory, { recursive: true });
  await until(() => tick(() => lines('error').length > 0), 'the missing directory is noticed');
  t.match(lines('error'), [
    {
      msg: `--triggers ${directory}: there is no such directory (ENOENT); name a directory of .yaml, .yml or .json files. `,
    },
  ]);
  t.strictSame(namesIn(brokers), ['a']);

  await mkdir(directory);
  await writeFile(join(directory, 'b.yaml'), triggerText('b'));
  await until(() => tick(() => namesIn(brokers).join() === 'b'), 'the directory that came back is applied');
});

t.test('a directory that is not there yet is applied when it comes', async (t) => {
  const { brokers, directory, start, becomes } = await setUp(t);
  await rm(directory, { recursive: true });
  await start();
  await mkdir(directory);
  await writeFile(join(directory, 'a.yaml'), triggerText('a'));
  await becomes(['a']);
  t.equal(brokers.list().length, 1);
});

t.test('a mounted ConfigMap is followed when its link is swapped', async (t) => {
  const { directory, start, becomes } = await setUp(t);
  const version = async (name: string, trigger: string): Promise<void> => {
    await mkdir(join(directory, name));
    await writeFile(join(directory, name, 'triggers.yaml'), triggerText(trigger));
  };
  await version('..v1', 'a');
  await symlink('..v1', join(directory, '..data'));
  await symlink(join('..data', 'triggers.yaml'), join(directory, 'triggers.yaml'));
  await start();
  await becomes(['a']);
  await version('..v2', 'b');
  await symlink('..v2', join(directory, '..data_tmp'));
  await rename(join(directory, '..data_tmp'), join(directory, '..data'));
  await becomes(['b']);
});

t.test('files of other owners are left alone, and an apply that fails is tried again', async (t) => {
  const { brokers, line, directory, start, tick, lines } = await setUp(t);
  await applyTexts(brokers, [triggerText('mine')], { owner: 'apply' });
  line.isCut = true;
  await writeFile(join(directory, 'a.yaml'), triggerText('a'));
  await start();
  t.strictSame(namesIn(brokers), ['mine']);
  t.match(lines('error'), [{ msg: /can't be applied, trying again/ }]);
  line.isCut = false;
  await until(() => tick(() => namesIn(brokers).join() === 'a,mine'), 'it is applied after all');
});

interface SetUp {
  readonly brokers: Brokers;
  readonly log: Awaited<ReturnType<typeof openLog>>;
  readonly line: ReturnType<typeof shared>;
  readonly directory: string;
  newBrokers(log: SetUp['log']): Promise<Brokers>;
  start(brokers?: Brokers): ReturnType<typeof watchDirectory>;
  /** Lets a little time pass; then, whether the condition holds. */
  tick(condition: () => boolean): Promise<boolean>;
  becomes(names: readonly string[]): Promise<void>;
  lines(level: string): { readonly msg?: string; readonly field?: string }[];
}

async function setUp(t: Test): Promise<SetUp> {
  const directory = await mkdtemp(join(tmpdir(), 'posthorn-triggers-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const said: { level: string; msg?: string; field?: string }[] = [];
  const logger: Logger = pino(
    { base: null, formatters: { level: (level) => ({ level }) } },
    { write: (text: string) => void said.push(JSON.parse(text)) },
  );
  const clock = new ManualClock();
  const log = await openLog(t);
  const line = shared(log);
  // The embedded rules (no waiting after an apply) with a line that can be cut.
  const cuttable = new Proxy(line.log, {
    get: (target, property) => (property === 'sharedByProcesses' ? false : Reflect.get(target, property)),
  });
  const newBrokers = (on: SetUp['log']): Promise<Brokers> => startBrokers(t, on, { clock });
  const brokers = await newBrokers(cuttable);
  const tick = async (condition: () => boolean): Promise<boolean> => {
    await clock.advance(50);
    return condition();
  };
  return {
    brokers,
    log,
    line,
    directory,
    newBrokers,
    tick,
    async start(which = brokers) {
      const watching = await watchDirectory({ directory, owner: 'directory', brokers: which, clock, logger });
      t.teardown(() => watching.close());
      return watching;
    },
    becomes: (names) => until(() => tick(() => namesIn(brokers).join() === names.join()), `there are ${names}`),
    lines: (level) => said.filter((one) => one.level === level),
  };
}

function namesIn(brokers: Brokers): string[] {
  return brokers
    .list()
    .flatMap((registry) => [...registry.stored().triggers.keys()])
    .sort();
}

function uriOf(brokers: Brokers, name: string): string | undefined {
  return brokers.get('default', 'default')?.stored().triggers.get(name)?.trigger?.subscriberUri;
}
