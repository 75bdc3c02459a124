import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { parseManifests, triggerFromManifest } from '../../broker/trigger/manifest.ts';
import { bodyOf } from '../../dispatcher/batch/body.ts';
import { readResults } from '../../dispatcher/batch/results.ts';
import { createDeliverer } from '../../dispatcher/deliver.ts';
import { claimPorts } from '../../examples/lib/ports.ts';
import { Processes } from '../../examples/lib/processes.ts';
import { systemClock } from '../../runtime/clock.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { until } from '../support/until.ts';

const docs = readFileSync(path.resolve(import.meta.dirname, '../../docs/batches.md'), 'utf8');
const [, yaml = ''] = /^```yaml\n([\s\S]*?)^```$/m.exec(docs) ?? [];
const [, python = ''] = /^```python\n([\s\S]*?)^```$/m.exec(docs) ?? [];

t.test('the trigger of docs/batches.md is right, and its defaults are those that are told', async (t) => {
  const { documents, problems } = parseManifests(yaml, 'example.yaml');
  t.same(problems, []);
  const identity = { uid: 'u', generation: 1, owner: 'test', namespace: 'default' };
  if (!documents[0]) throw new Error('there is no trigger');
  const { batch, maxInFlight } = triggerFromManifest(documents[0].manifest, identity, null);
  t.same(batch, { eventsMax: 100, bytesMax: 1_048_576, lingerMs: 200 });
  t.match(docs, `: ${maxInFlight} with batches of 100.`);
});

t.test('its handler answers for each event', async (t) => {
  const [port = 0] = await claimPorts([{ owner: 'the handler of docs/batches.md', port: 0, choice: '' }]);
  const url = `http://127.0.0.1:${port}/`;
  const lines: string[] = [];
  const processes = new Processes();
  t.teardown(() => processes.stop());
  processes.start({
    command: 'python3',
    args: ['-u', '-c', python.replaceAll('"localhost", 3000', `"127.0.0.1", ${port}`)],
    env: process.env,
    stopSignal: 'SIGINT',
    onLine: (line) => void lines.push(line),
    onEnd: (how) => void lines.push(`ended: ${how}`),
  });
  const listens = () =>
    fetch(url).then(
      (response) => response.status > 0,
      () => lines.some((line) => line.startsWith('ended')),
    );
  await until(listens, 'the handler to listen');

  const event = (id: string, data: string) => testEvent({ id, datacontenttype: 'application/json' }, Buffer.from(data));
  const events = [event('1', '{"total":12}'), event('2', '{}'), event('3', '{"total":7}')] as const;
  const [first, ...others] = events.map((one) => testDelivery(testTrigger(url), one));
  if (!first) throw new Error('there is no event');
  const deliveries = [first, ...others] as const;
  const hold = { isRevoked: false, settle: () => {}, drop: () => {} };
  const body = bodyOf(deliveries.map((delivery) => ({ lane: 'shared', hold, delivery })));
  const deliverer = createDeliverer({ clock: systemClock, responseBytesMax: 1_000_000 });
  t.teardown(() => deliverer.close());
  const { outcomes } = readResults(await deliverer.attemptBatch({ deliveries, body }, url), events);
  t.same(
    outcomes.map((one) => (one.kind === 'answered' ? one.status : one.message)),
    [200, 422, 200],
  );
  // What it prints may come after its answer.
  await until(() => lines.includes('1 12') && lines.includes('3 7'), 'the handler to have printed both');
});
