import t from 'tap';
import { startPosthorn } from '../support/posthorn.ts';
import { applyTo, metric, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

t.test('the metrics tell how many triggers are asked one by one, as triggers come and change', async (t) => {
  const posthorn = await startPosthorn(['--data', t.testdir()]);
  t.teardown(() => posthorn.stop());
  const labels = { broker: 'default/default' };
  const unindexed = () => metric(posthorn.adminUrl, 'posthorn_triggers_unindexed', labels);
  const trigger = (name: string, filters: string) => triggerYaml(name, 'http://127.0.0.1:9/', { filters });
  await applyTo(
    posthorn.adminUrl,
    trigger('by-type', '[{ exact: { type: a } }]'),
    trigger('by-number', '[{ cesql: "priority > 3" }]'),
    trigger('by-neither', '[{ not: { exact: { type: a } } }]'),
  );
  await until(async () => (await unindexed()) === 2, 'two are counted');
  await applyTo(posthorn.adminUrl, trigger('by-number', `[{ cesql: "type = 'a' AND priority > 3" }]`));
  await until(async () => (await unindexed()) === 1, 'one is counted');
});
