import t from 'tap';
import { brokerTopics } from '../../broker/topics.ts';
import { parseManifests } from '../../broker/trigger/manifest.ts';
import { defaultBroker, plan, recordOf } from '../../broker/trigger/registry-plan.ts';
import { emptyState, fold, type RegistryState } from '../../broker/trigger/registry-state.ts';
import { logRecord } from '../support/scripted-log.ts';
import { triggerText } from './setup.ts';

/** How many triggers a broker may have, where Kafka has to keep in one record what a consumer group's members read. */

const names = (first: number, end: number): string[] =>
  Array.from({ length: end - first }, (_, i) => `trigger-${first + i}`);

const topicsOf = (triggers: readonly string[]): Set<string> =>
  new Set(triggers.map((name) => brokerTopics('posthorn', defaultBroker).retry(name)));

interface Given {
  /** Triggers that have, or had, a retry topic. */
  readonly known?: readonly string[];
  /** null: the log is of one process. */
  readonly groups?: number | null;
  readonly state?: RegistryState;
  readonly prune?: boolean;
}

function planOf(wanted: readonly string[], given: Given = {}) {
  const { known = [], groups = 1, state = emptyState(defaultBroker), prune = false } = given;
  const { documents } = parseManifests(wanted.map((name) => triggerText(name)).join('---\n'), 'triggers.yaml');
  const registries = new Map([['default/default', state]]);
  let uid = 0;
  const retry = groups === null ? null : { groups, topics: topicsOf(known) };
  const context = { prefix: 'posthorn', registries, newUid: () => `uid-${uid++}`, nowMs: 0, retry };
  return plan({ documents, owner: 'apply', prune }, context);
}

/** A broker that has these triggers. */
function having(wanted: readonly string[]): RegistryState {
  const { revisions } = planOf(wanted, { groups: null });
  const records = revisions.map((one, offset) => ({ ...logRecord(offset), ...recordOf(one) }));
  return fold(emptyState(defaultBroker), records).state;
}

t.test('more than 1,000 are refused where they stand, with what has to be done', async (t) => {
  const known = names(0, 998);
  const { problems } = planOf(names(990, 1_003), { known, state: having(known) });
  t.strictSame(problems, [
    {
      severity: 'error',
      ...{ file: 'triggers.yaml', line: 84, column: 9, field: 'metadata.name' },
      message:
        'broker default/default would have 1003 retry topics (998 are there, those of deleted triggers too), and may ' +
        'have 1000: 1000 for each of their consumer groups; stop every Posthorn and start it with --retry-groups 2',
    },
  ]);
});

t.test('as many as there may be, changes, and those that had a retry topic before, are not', async (t) => {
  const known = names(0, 1_000);
  t.strictSame(planOf(names(998, 1_000), { known: names(0, 998) }).problems, []);
  t.strictSame(planOf(names(0, 10), { known, state: having(known) }).problems, []);
  t.strictSame(planOf(names(0, 10), { known }).problems, [], 'made anew');
  t.strictSame(planOf(names(1_000, 2_000), { known, groups: 2 }).problems, []);
  t.strictSame(planOf(names(0, 1_500), { groups: null }).problems, [], 'a log of one process');
});

t.test('that others go makes no room, as their retry topics are kept', async (t) => {
  const known = names(0, 1_000);
  const { problems } = planOf([...names(0, 5), 'one-more'], { known, state: having(known), prune: true });
  t.match(problems, [{ line: 44, message: /would have 1001 retry topics \(1000 are there/ }]);
});

t.test('one who has more already may keep them, and get no more', async (t) => {
  const known = names(0, 1_010);
  t.strictSame(planOf(known, { known, state: having(known) }).problems, []);
  t.match(planOf(['one-more'], { known }).problems, [{ line: 4, message: /would have 1011 .* may have 1000/ }]);
});
