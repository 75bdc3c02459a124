import t from 'tap';
import { Ledger, sendNumbered } from '../support/ledger.ts';
import { kafkaUnderTest } from '../support/logs.ts';
import { startPosthorn } from '../support/posthorn.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

t.test('two processes on Kafka: every event accepted after apply returned reaches the new trigger', async (t) => {
  const log = await kafkaUnderTest();
  const processes = await Promise.all([startPosthorn(log.args), startPosthorn(log.args)]);
  const [one, other] = processes;
  t.teardown(() => Promise.all(processes.map((process) => process.kill())));
  const ledger = new Ledger();
  const names = ['standing', 'applied', 'changed'];
  const sinks = await Promise.all(names.map((name) => ledger.startSink(name)));
  t.teardown(() => Promise.all(sinks.map((sink) => sink.close())));
  const url = (name: string) => sinks[names.indexOf(name)]?.url ?? '';
  await applyTo(
    one.adminUrl,
    triggerYaml('standing', url('standing')),
    triggerYaml('changed', url('changed'), { filters: '[{ exact: { type: com.example.other } }]' }),
  );

  const enough = new AbortController();
  let sent = 0;
  const sending = sendNumbered(
    ledger,
    { first: 1, last: Number.MAX_SAFE_INTEGER },
    () => {
      sent++;
      return sent % 2 === 0 ? one.url : other.url;
    },
    { concurrency: 16, signal: enough.signal },
  );
  await until(() => ledger.accepted.size > 500, 'load', 30_000);
  // By the other process than the first apply, and of a new and of a known trigger.
  await applyTo(
    other.adminUrl,
    triggerYaml('applied', url('applied')),
    triggerYaml('changed', url('changed'), { filters: '[{ exact: { type: com.example.numbered } }]' }),
  );
  const before = new Set(ledger.accepted);
  await until(() => ledger.accepted.size > before.size + 2_000, 'more load', 60_000);
  enough.abort();
  await sending;

  const after = [...ledger.accepted].filter((event) => !before.has(event));
  // Events that were on their way when apply returned may have been matched before it; their senders had no answer yet.
  const surely = after.filter((event) => event > Math.max(...before) + 16);
  const missing = () => ({
    standing: ledger.missingAt('standing'),
    applied: surely.filter((event) => !ledger.arrivals.get('applied')?.has(event)),
    changed: surely.filter((event) => !ledger.arrivals.get('changed')?.has(event)),
  });
  await until(() => Object.values(missing()).every((events) => events.length === 0), 'everything to arrive', 60_000);
  t.same(missing(), { standing: [], applied: [], changed: [] });
  t.ok(surely.length > 1_500);
  t.comment(
    `${ledger.accepted.size} events, ${surely.length} surely after apply; duplicates at ${names
      .map((name) => `${name}: ${ledger.duplicatesAt(name)}`)
      .join(', ')}`,
  );
  t.same(await Promise.all(processes.map((process) => process.stop())), [0, 0]);
});
