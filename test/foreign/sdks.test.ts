import t, { type Test } from 'tap';
import type { Received } from '../standards/receiver.ts';
import { until } from '../support/until.ts';
import { assertAttributes, assertRead } from './assert.ts';
import { eventWithId, replyTo, sentTo } from './cases.ts';
import { type ExpectedWith, expectedSending } from './expected.ts';
import { deadLetters, formats, openStage, type Play, play, replyId } from './play.ts';
import { sdks } from './sdks.ts';

const stage = await openStage(t);
// All at the same time: most of it is waiting, and the compiling of two of them.
const plays = sdks.map((sdk) => ({ sdk, played: play(t, sdk, stage) }));
for (const { played } of plays) played.catch(() => {});

for (const { sdk, played } of plays) {
  t.test(`the CloudEvents SDK for ${sdk.name} sends to Posthorn`, async (t) => {
    const { sent, delivered } = await played;
    for (const sending of sent) {
      const { event, outcome } = sending;
      const expected = expectedSending(sdk, sending);
      if (expected.outcome instanceof RegExp) t.match(outcome, expected.outcome, event.id);
      else t.equal(outcome, expected.outcome, event.id);
      for (const path of Object.keys(formats)) {
        assertDelivered(t, `${path} ${event.id}`, delivered, expected.delivered, '1');
      }
      if (expected.isDead) {
        const isThere = async () => (await deadLetters(stage)).some((value) => value.includes(event.id));
        await until(isThere, `${event.id} is in the dead-letter topic`);
      }
    }
  });

  t.test(`the CloudEvents SDK for ${sdk.name} receives from Posthorn, and answers with events`, async (t) => {
    const { received, delivered } = await played;
    const sources = Object.keys(formats) as (keyof typeof formats)[];
    for (const source of sources) {
      assertRead(t, sdk.quirks, sentTo(sdk.name), source, (id) => received.get(`${source} ${id}`));
      for (const { attributes } of sentTo(sdk.name)) {
        const id = replyId(sdk, `${source} ${attributes.id}`);
        const mode = source === '/binary' ? 'binary' : 'structured';
        const reply = eventWithId(replyTo(sdk.name), id);
        const expected = expectedSending(sdk, { by: 'HTTP', mode, caseName: 'json', event: reply });
        for (const path of Object.keys(formats)) {
          assertDelivered(t, `${path} ${id}`, delivered, expected.delivered, '2');
        }
      }
    }
  });

  t.test(`the CloudEvents SDK for ${sdk.name} reads the topic that Posthorn writes`, async (t) => {
    const { read } = await played;
    assertRead(t, sdk.quirks, sentTo(sdk.name), 'topic', (id) => read.get(id));
  });
}

function assertDelivered(
  t: Test,
  key: string,
  delivered: Play['delivered'],
  expected: ExpectedWith<{ attributes: object; data: Buffer | null }> | null,
  hops: string,
): void {
  const got: Received | undefined = delivered.get(key);
  if (expected === null || got === undefined) {
    t.equal(got, expected ?? undefined, `${key} is not delivered`);
    return;
  }
  const { event, patterns } = expected;
  assertAttributes(t, key, got.attributes, { ...event.attributes, posthornhops: hops }, patterns);
  // Which are the same in binary mode.
  const data = key.startsWith('/binary') && event.data?.length === 0 ? null : event.data;
  t.same(got.data, data, `${key}: data`);
}
