import { once } from 'node:events';
import { createServer } from 'node:net';
import t, { type Test } from 'tap';
import type { ExpectedEvent } from '../standards/cases.ts';
import { embeddedUnderTest } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { assertRead } from './assert.ts';
import { nameOf, sentTo } from './cases.ts';
import { expectedError } from './expected.ts';
import { type Failed, Peer, type Told } from './peer.ts';
import { formats, idOf, postAsIs } from './play.ts';
import { type Quirks, quirks } from './quirks.ts';
import { nodeFunctions, type Program, pythonFunctions } from './toolchains.ts';

interface Framework {
  readonly name: string;
  readonly program: (port: number) => Promise<Program>;
  readonly quirks: Quirks;
}

const frameworks: readonly Framework[] = [
  { name: 'node', program: nodeFunctions, quirks: quirks.nodeFunctions },
  { name: 'python', program: pythonFunctions, quirks: quirks.pythonFunctions },
];

type Path = keyof typeof formats;
const paths = Object.keys(formats) as Path[];

/** What a function says of its calls; `failed` if it had failed with this event before. */
interface Call {
  readonly received: Told | Failed;
  readonly failed: boolean;
}

const log = await embeddedUnderTest(t);
const posthorn = await startPosthorn(log.args);
t.teardown(() => posthorn.stop());

const calls = frameworks.map((framework) => ({ framework, called: callAll(t, framework) }));
for (const { called } of calls) called.catch(() => {});

for (const { framework, called } of calls) {
  t.test(`a function of the functions framework for ${framework.name} is a subscriber`, async (t) => {
    const all = await called;
    for (const path of paths) {
      const events = eventsFor(framework, path);
      assertRead(
        t,
        framework.quirks,
        events,
        path,
        (id) => all.find(({ received }) => idOf(received) === id)?.received,
      );
      const again = all.filter((call) => call.failed).map(({ received }) => idOf(received));
      const erring = `for-${framework.name}${path}/exactjson`;
      t.ok(again.includes(erring), `${erring} comes again after the function has failed`);
    }
  });
}

function eventsFor({ name }: Framework, path: Path): readonly ExpectedEvent[] {
  return sentTo(`${name}${path}`);
}

/** Sends all events to the function in both modes, and waits until it has handled them, or answered with an error. */
async function callAll(t: Test, framework: Framework): Promise<readonly Call[]> {
  const port = await freePort();
  const peer = new Peer(await framework.program(port));
  t.teardown(() => peer.stop());
  await peer.until(() => isServing(port), 'it to serve');
  const triggers = paths.map((path) =>
    triggerYaml(`${framework.name}-${formats[path]}`, `http://127.0.0.1:${port}`, {
      filters: `[{ exact: { type: com.example.for.${framework.name}${path} } }]`,
      delivery: `{ format: ${formats[path]}, retry: 3, backoffDelay: PT0.05S }`,
    }),
  );
  await applyTo(posthorn.adminUrl, ...triggers);

  const calls: readonly Call[] = peer.received as unknown as Call[];
  const failures: Call[] = [];
  for (const path of paths) {
    const events = eventsFor(framework, path);
    const ids = events.map(({ attributes }) => attributes.id ?? '');
    const isErring = (id: string) => expectedError(framework.quirks, path, nameOf(id)) !== undefined;
    for (const event of events) await postAsIs(posthorn.url, event);
    const handled = ids.filter((id) => !isErring(id));
    const isHandled = (id: string) => calls.some(({ received }) => idOf(received) === id);
    await peer.until(() => handled.every(isHandled), `it to handle ${handled.join(', ')}`);
    const erring = ids.filter(isErring);
    await peer.until(() => erring.every((id) => errorOf(id) !== ''), `it to fail with ${erring.join(', ')}`);
    failures.push(...erring.map((id) => ({ received: { id, error: errorOf(id) }, failed: false })));
  }
  return [...calls, ...failures];
}

/** What became of an attempt to deliver an event that failed; '' while none has. */
function errorOf(id: string): string {
  return String(posthorn.lines.find((line) => line.event === id)?.reason ?? '');
}

async function isServing(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/`).then(
    async (response) => {
      await response.text();
      return true;
    },
    () => false,
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
