import t from 'tap';
import { brokerTopics } from '../../broker/topics.ts';
import { type Revision, revisionRecord, triggerKey } from '../../broker/trigger/registry-state.ts';
import type { Manifest } from '../../broker/trigger/trigger.ts';
import { embeddedUnderTest, type LogUnderTest } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { startSink } from '../support/sink.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

/** A trigger that a newer Posthorn has applied, and of which this one can read nothing, as after a step back. */

t.test('events wait for a trigger that this version cannot read, /readyz says so, and an apply ends it', async (t) => {
  const sink = await startSink(() => ({ status: 202 }));
  t.teardown(() => sink.close());
  const log = await embeddedUnderTest(t);
  const before = await startPosthorn(log.args);
  t.teardown(() => before.kill());
  await applyTo(before.adminUrl, triggerYaml('known', `${sink.url}/known`));
  await before.stop();
  await appendNewer(log);

  const posthorn = await startPosthorn(log.args, {}, { awaitsReady: false });
  t.teardown(() => posthorn.kill());
  const readyz = async () => (await fetch(`${posthorn.adminUrl}/readyz`)).text();
  await until(async () => (await readyz()).includes("can't read trigger newer"), 'it to say what is wrong');
  t.equal((await fetch(`${posthorn.adminUrl}/readyz`)).status, 503);
  t.match(await readyz(), /events wait: run the version that has applied it, or apply it again with this one/);
  t.match(
    posthorn.lines.filter(({ level }) => level === 'warn'),
    [{ key: 'trigger/newer', msg: /^registry: trigger\/newer can't be read: .*novelty/ }],
  );
  t.equal(await post(posthorn.url), 202);

  await applyTo(posthorn.adminUrl, triggerYaml('newer', `${sink.url}/newer`));
  await until(() => sink.requests.length === 2, 'the event that has waited to arrive at both');
  t.strictSame(sink.requests.map(({ path }) => path).sort(), ['/known', '/newer']);
  t.equal((await fetch(`${posthorn.adminUrl}/readyz`)).status, 200);
});

/** Another trigger `newer`, like `known` but for a field of its spec that nobody knows here. */
async function appendNewer(log: LogUnderTest): Promise<void> {
  const topic = brokerTopics(log.prefix, { namespace: 'default', name: 'default' }).triggers;
  const opened = await log.open();
  const { records } = await opened.read(topic, 0, 0, 1_000_000);
  const known = records.find(({ key }) => key?.toString() === triggerKey('known'));
  const revision = JSON.parse(String(known?.value)) as Revision & { readonly manifest: Manifest };
  const { metadata, spec, ...rest } = revision.manifest;
  const manifest = { ...rest, metadata: { ...metadata, name: 'newer' }, spec: { ...(spec as object), novelty: 1 } };
  const newer = { ...revision, uid: 'newer', manifest };
  await opened.append(topic, 0, [revisionRecord(triggerKey('newer'), newer)]);
  await opened.close();
}

async function post(url: string): Promise<number> {
  const { status } = await fetch(`${url}/default/default`, {
    method: 'POST',
    headers: { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/test', 'ce-type': 'test' },
  });
  return status;
}
