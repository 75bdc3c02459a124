import t from 'tap';
import { Ledger, sendNumbered } from '../support/ledger.ts';
import { onBothLogs } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { seeded } from '../support/random.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';

const events = Number(process.env.LEDGER_EVENTS ?? 20_000);
const kills = 5;
const triggers = ['first', 'second', 'third'];
const { seed, random } = seeded();

onBothLogs(`${events} events to 3 triggers over ${kills} SIGKILLs: none is missing`, async (t, log) => {
  const ledger = new Ledger();
  const sinks = await Promise.all(triggers.map((name) => ledger.startSink(name)));
  t.teardown(() => Promise.all(sinks.map((sink) => sink.close())));
  let posthorn: PosthornProcess = await startPosthorn(log.args);
  t.teardown(() => posthorn.kill());
  await applyTo(posthorn.adminUrl, ...triggers.map((name, index) => triggerYaml(name, sinks[index]?.url ?? '')));

  const sending = sendNumbered(ledger, { first: 1, last: events }, () => posthorn.url);
  // Moments are counted in accepted events, so that the kills spread over the run whatever the machine's speed.
  const moments = Array.from({ length: kills }, () => 1 + Math.floor(random() * (events - 1))).sort((a, b) => a - b);
  for (const moment of moments) {
    await until(() => ledger.accepted.size >= moment, `${moment} events to be accepted`, 120_000);
    await posthorn.kill();
    posthorn = await startPosthorn(log.args);
  }
  await sending;
  t.equal(ledger.accepted.size, events);
  const missing = () => triggers.reduce((sum, name) => sum + ledger.missingAt(name).length, 0);
  await until(() => missing() === 0, 'every event to arrive at every trigger', 120_000);
  for (const name of triggers) t.same(ledger.missingAt(name), [], `none missing at ${name}`);

  const duplicates = triggers.map((name) => ledger.duplicatesAt(name));
  // In flight at a kill are at most 256 of a trigger, and 128 records or 100 ms settled since the last commit.
  t.comment(`seed ${seed}; killed after ${moments.join(', ')} events; duplicates a trigger: ${duplicates.join(', ')}`);
  t.equal(await posthorn.stop(), 0, 'ends cleanly');
});

t.test('the seed of a run can be given', async (t) => {
  t.same(seeded('7').random(), seeded('7').random());
});
