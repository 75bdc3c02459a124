import t from 'tap';
import type { Permit } from '../../dispatcher/permits.ts';
import { testDelivery, testEvent, testTrigger } from '../support/events.ts';
import { startPipeline } from './pipeline-setup.ts';

const url = 'http://127.0.0.1:1/asked';
const trigger = testTrigger(url, { rate: { attempts: 50, perMs: 1_000 } });

function start() {
  const permit: { now: Permit } = { now: { heldBy: 'handshake', rate: null } };
  const stage = startPipeline([trigger], { permits: { of: () => permit.now } });
  stage.pipeline.refreshLimits();
  return { ...stage, permit };
}

t.test('without its permit nothing of a trigger is sent, which its metrics show; with it all goes on', async (t) => {
  const { pipeline, clock, permit, attempts, metrics, run } = start();
  const held = run(testDelivery(trigger));
  await clock.advance(60_000);
  t.strictSame([attempts.length, held.state], [0, 'held']);
  const shown = await metrics.registry.metrics();
  t.match(shown, 'posthorn_trigger_paused{broker="default/default",trigger="all",reason="handshake"} 1');
  t.match(shown, 'posthorn_trigger_paused{broker="default/default",trigger="all",reason="annotation"} 0');
  t.match(shown, 'posthorn_trigger_concurrency_limit{broker="default/default",trigger="all"} 0');
  t.equal(pipeline.limits.isIdle(trigger), false);

  permit.now = { heldBy: null, rate: null };
  pipeline.refreshLimits();
  await clock.advance(0);
  t.strictSame([attempts.length, held.state], [1, 'settled']);
  t.match(
    await metrics.registry.metrics(),
    'posthorn_trigger_paused{broker="default/default",trigger="all",reason="handshake"} 0',
  );
});

t.test('of the rate of the trigger and the one that is allowed, the slower holds', async (t) => {
  const { pipeline, clock, permit, attempts, run } = start();
  permit.now = { heldBy: null, rate: { attempts: 2, perMs: 60_000 } };
  pipeline.refreshLimits();
  for (const id of ['1', '2', '3']) run(testDelivery(trigger, testEvent({ id })));
  await clock.advance(29_999);
  t.equal(attempts.length, 1);
  await clock.advance(1);
  t.equal(attempts.length, 2);
  permit.now = { heldBy: null, rate: { attempts: 6_000, perMs: 1_000 } };
  pipeline.refreshLimits();
  for (let id = 4; id < 14; id++) run(testDelivery(trigger, testEvent({ id: String(id) })));
  await clock.advance(0);
  t.ok(attempts.length < 13, 'the own rate holds');
  await clock.advance(1_000);
  t.equal(attempts.length, 13);
});

t.test('a deleted trigger lets go of what its permit has held', async (t) => {
  const { pipeline, clock, appended, snapshot, run } = start();
  const held = run(testDelivery(trigger));
  await clock.advance(0);
  snapshot.triggers.delete(trigger.uid);
  pipeline.refreshLimits();
  await clock.advance(0);
  t.equal(held.state, 'settled');
  t.match(appended, [{ topic: /dead-letter/ }]);
});
