import t from 'tap';
import { parseManifests, triggerFromManifest } from '../../broker/trigger/manifest.ts';
import type { Manifest, Trigger } from '../../broker/trigger/trigger.ts';
import { annotated, saidOf } from './said-of.ts';

function triggerOf(annotations: string): Omit<Trigger, 'laneSpans'> {
  const [document] = parseManifests(annotated('Trigger', annotations), 'file.yaml').documents;
  const identity = { uid: 'u', generation: 1, owner: 'test', namespace: 'default' };
  return triggerFromManifest(document?.manifest as Manifest, identity, null);
}

const batch = '    posthorn.dev/batch: "100"';
const ordered = '    kafka.eventing.knative.dev/delivery.order: ordered';

t.test('a batch is of 1 MiB and 100 ms by default; of an ordered trigger nothing waits', async (t) => {
  t.same(triggerOf(batch).batch, { eventsMax: 100, bytesMax: 1_048_576, lingerMs: 100 });
  t.same(triggerOf(`${batch}\n${ordered}`).batch?.lingerMs, 0);
  t.same(triggerOf(`${batch}\n${ordered}\n    posthorn.dev/batch-linger: PT1S`).batch?.lingerMs, 1_000);
  t.same(triggerOf(`${batch}\n    posthorn.dev/batch-linger: PT0S`).batch?.lingerMs, 0);
});

t.test('by default as many batches are in flight as hold 256 events, and two at least', async (t) => {
  const inFlight = (events: number) => triggerOf(`    posthorn.dev/batch: "${events}"`).maxInFlight;
  t.same([1, 10, 100, 256, 1_000].map(inFlight), [256, 26, 3, 2, 2]);
  t.equal(triggerOf(`${batch}\n    posthorn.dev/max-in-flight: "1"`).maxInFlight, 1);
});

const wrong = [
  ['batch', '"0"', 'must be a whole number from 1 to 1000, found "0"'],
  ['batch', '"1001"', 'must be a whole number from 1 to 1000, found "1001"'],
  ['batch', '"true"', 'must be a whole number from 1 to 1000, found "true"'],
  ['batch', '100', 'must be a string, found the number 100; write "100"'],
  ['batch-bytes', '"1023"', 'must be a whole number from 1024 to 8388608, found "1023"'],
  ['batch-bytes', '1MiB', 'must be a whole number from 1024 to 8388608, found "1MiB"'],
  ['batch-linger', '100ms', 'must be an ISO 8601 duration, found "100ms"; write PT0.1S'],
  ['batch-linger', 'PT61S', 'must be from PT0S to PT1M, found "PT61S"'],
] as const;

for (const [name, value, message] of wrong) {
  t.test(`${name}: ${value} is refused`, async (t) => {
    const lines = `    posthorn.dev/${name}: ${value}${name === 'batch' ? '' : `\n${batch}`}`;
    const [said = '', ...others] = saidOf(annotated('Trigger', lines));
    t.equal(said.replace(/^6:\d+ /, ''), `error metadata.annotations["posthorn.dev/${name}"]: ${message}`);
    t.same(others, []);
  });
}

t.test('what does not go together with batches is said', async (t) => {
  t.same(saidOf(annotated('Trigger', `${batch}\n    posthorn.dev/reply-to: shop/answers`)), [
    '7:28 error metadata.annotations["posthorn.dev/reply-to"]: the answer to a batch carries no reply; leave this out, or posthorn.dev/batch',
  ]);
  t.same(saidOf(annotated('Trigger', '    posthorn.dev/batch-linger: PT1S\n    posthorn.dev/batch-bytes: "2048"')), [
    '6:5 warning metadata.annotations["posthorn.dev/batch-linger"]: no effect without posthorn.dev/batch',
    '7:5 warning metadata.annotations["posthorn.dev/batch-bytes"]: no effect without posthorn.dev/batch',
  ]);
  const withFormat = (delivery: string) =>
    saidOf(
      annotated('Trigger', batch).replace(
        "uri: 'http://orders:8080/' }",
        `uri: 'http://orders:8080/' }, delivery: ${delivery}`,
      ),
    );
  t.same(withFormat('{ format: binary }'), [
    '7:65 warning spec.delivery.format: no effect with posthorn.dev/batch: a batch is in JSON, application/cloudevents-batch+json',
  ]);
  t.same(withFormat('{ format: binary, deadLetterSink: { uri: http://sink/ } }'), [], 'it is for the sink');
});

t.test('batches belong on a Trigger', async (t) => {
  t.same(saidOf(annotated('Broker', batch)), [
    '6:5 error metadata.annotations["posthorn.dev/batch"]: belongs on a Trigger, this is a Broker',
  ]);
});
