import t from 'tap';
import type { LogRecord } from '../../broker/log/log.ts';
import { parseManifests } from '../../broker/trigger/manifest.ts';
import {
  emptyState,
  fold,
  handBackRecord,
  type RegistryState,
  type Revision,
  revisionRecord,
} from '../../broker/trigger/registry-state.ts';
import type { LaneSpan, Manifest } from '../../broker/trigger/trigger.ts';
import { brokerText, triggerText } from './setup.ts';

const start = emptyState({ namespace: 'default', name: 'default' });

t.test('a trigger that is changed keeps its uid and counts its generations', async (t) => {
  const { state } = foldAll(set('a', { uid: 'u1' }), set('a', { uid: 'u1', uri: 'http://other.example/', atMs: 2 }));
  const stored = state.triggers.get('a');
  t.match(stored, { uid: 'u1', generation: 2, createdAtMs: 1, appliedAtMs: 2, problem: null });
  t.match(stored?.trigger, { uid: 'u1', generation: 2, subscriberUri: 'http://other.example/', owner: 'apply' });
});

t.test('the same content again changes nothing', async (t) => {
  const once = foldAll(set('a', { uid: 'u1' })).state;
  const { state, remarks } = fold(once, records(set('a', { uid: 'u1', atMs: 9 })));
  t.equal(state, once);
  t.strictSame(remarks, []);
});

t.test('of two processes that make a trigger at once the first gives the uid, the later the content', async (t) => {
  const { state } = foldAll(set('a', { uid: 'u1' }), set('a', { uid: 'u2', uri: 'http://second.example/' }));
  t.match(state.triggers.get('a'), { uid: 'u1', generation: 2 });
  t.equal(state.triggers.get('a')?.trigger?.subscriberUri, 'http://second.example/');
});

t.test('of two owners that make a trigger at once the first keeps it', async (t) => {
  const { state, remarks } = foldAll(
    set('a', { uid: 'u1' }),
    set('a', { uid: 'u2', owner: 'other', uri: 'http://x/' }),
  );
  t.match(state.triggers.get('a'), { uid: 'u1', generation: 1, owner: 'apply' });
  t.match(remarks, [{ offset: 1, key: 'trigger/a', message: /by other ignored: it belongs to apply/ }]);
});

t.test('a deletion by another owner, or of an older uid, is ignored', async (t) => {
  const { state } = foldAll(set('a', { uid: 'u1' }), del('a', { uid: 'u1', owner: 'other' }), del('a', { uid: 'u0' }));
  t.equal(state.triggers.get('a')?.uid, 'u1');
});

t.test('a revision of a deleted trigger that comes late does not bring it back', async (t) => {
  const late = set('a', { uid: 'u1', uri: 'http://late.example/', generation: 2 });
  const { state, remarks } = foldAll(set('a', { uid: 'u1' }), del('a', { uid: 'u1' }), late);
  t.equal(state.triggers.size, 0);
  t.match(remarks, [{ message: /deleted before/ }]);
  t.equal(fold(state, records(set('a', { uid: 'u2' }))).state.triggers.get('a')?.uid, 'u2');
});

t.test('a deletion that discards the backlog names the uid', async (t) => {
  const { state } = foldAll(
    set('a', { uid: 'u1' }),
    set('b', { uid: 'u2' }),
    del('a', { uid: 'u1', discard: true }),
    del('b', { uid: 'u2' }),
  );
  t.strictSame([...state.discarded], ['u1']);
  t.strictSame([...state.deleted], ['u1', 'u2']);
});

t.test('a manifest that this version cannot read leaves the last good revision in force', async (t) => {
  const strange = { ...manifestOf(triggerText('a')), spec: { subscriber: { uri: 'http://new.example/' }, novelty: 1 } };
  const { state, remarks } = foldAll(set('a', { uid: 'u1' }), set('a', { uid: 'u1', manifest: strange }));
  const stored = state.triggers.get('a');
  t.match(stored, { generation: 2, problem: /novelty/ });
  t.match(stored?.trigger, { generation: 1, subscriberUri: 'http://handler.example/' });
  t.match(remarks, [{ message: /novelty.*generation 1 stays in force/ }]);

  const alone = foldAll(set('a', { uid: 'u1', manifest: strange })).state.triggers.get('a');
  t.match(alone, { uid: 'u1', trigger: null, problem: /novelty/ });
});

t.test('which group reads for a trigger is known of revisions that can not be read, too', async (t) => {
  const strange = { ...manifestOf(triggerText('a')), spec: { subscriber: { uri: 'http://new.example/' }, novelty: 1 } };
  const own = manifestOf(triggerText('a', { annotations: 'posthorn.dev/consumer-group: own' }));
  const first = set('a', { uid: 'u1', manifest: own, laneSpan: { group: 'own', from: [5] } });
  const back = set('a', { uid: 'u1', manifest: strange, laneSpan: { group: 'shared', from: [20] } });
  t.same(spansOf([first, back]), [
    { group: 'own', from: [5] },
    { group: 'shared', from: [20] },
  ]);
  t.same(spansOf([first, set('a', { uid: 'u1', manifest: strange })]), [{ group: 'own', from: [5] }]);
  const unknown = set('a', { uid: 'u1', manifest: strange });
  const moved = set('a', { uid: 'u1', manifest: own, laneSpan: { group: 'own', from: [50] } });
  t.same(
    spansOf([unknown, moved]),
    [
      { group: 'shared', from: [] },
      { group: 'own', from: [50] },
    ],
    'the trigger was there before: what waits until it can be read is not older than it',
  );
});

t.test('a new Broker gives its delivery to the triggers that have none', async (t) => {
  const broker = manifestOf(brokerText('default', { spec: '  delivery:\n    retry: 3\n' }));
  const own = manifestOf(triggerText('own', { spec: '  delivery:\n    retry: 7\n' }));
  const { state } = foldAll(
    set('plain', { uid: 'u1' }),
    set('own', { uid: 'u2', manifest: own }),
    { key: 'broker', revision: revision({ uid: 'b1', manifest: broker }) },
    set('later', { uid: 'u3' }),
  );
  const attempts = [...state.triggers.values()].map(({ name, trigger }) => `${name} ${trigger?.delivery.attemptsMax}`);
  t.strictSame(attempts, ['plain 4', 'own 8', 'later 4']);
});

t.test('the topic of a broker stays what it was first set to', async (t) => {
  const to = (topic: string): Manifest => {
    return manifestOf(brokerText('default', { annotations: `kafka.eventing.knative.dev/external.topic: ${topic}` }));
  };
  const { state, remarks } = foldAll(
    { key: 'broker', revision: revision({ uid: 'b1', manifest: to('first') }) },
    { key: 'broker', revision: revision({ uid: 'b1', manifest: to('second') }) },
  );
  t.strictSame(state.broker?.broker?.externalTopics, ['first']);
  t.match(remarks, [{ message: /fixed once set/ }]);
});

t.test('a trigger that moves to a group of its own is read by it from the end that the revision names', async (t) => {
  const own = manifestOf(triggerText('a', { annotations: 'posthorn.dev/consumer-group: own' }));
  const ordered = manifestOf(triggerText('a', { annotations: 'kafka.eventing.knative.dev/delivery.order: ordered' }));
  const made = [set('a', { uid: 'u1' })];
  t.same(spansOf(made), []);
  const moved = [...made, set('a', { uid: 'u1', manifest: own, laneSpan: { group: 'own', from: [5, 7] } })];
  const spans = [
    { group: 'shared', from: [] },
    { group: 'own', from: [5, 7] },
  ];
  t.same(spansOf(moved), spans);
  t.same(spansOf([...moved, set('a', { uid: 'u1', manifest: ordered })]), spans, 'ordered is the same group');
  const back = [...moved, set('a', { uid: 'u1', laneSpan: { group: 'shared', from: [9, 9] } })];
  t.same(spansOf(back), [...spans, { group: 'shared', from: [9, 9] }]);
  t.same(
    spansOf([...moved, set('a', { uid: 'u1', uri: 'http://racing.example/' })]).at(-1),
    { group: 'shared', from: [5, 7] },
    'a writer that saw no change: nothing is left out',
  );
  t.same(spansOf([set('a', { uid: 'u2', manifest: own, laneSpan: { group: 'own', from: [3] } })]), [
    { group: 'own', from: [3] },
  ]);
  const broker = { key: 'broker', revision: revision({ uid: 'b1', manifest: manifestOf(brokerText('default')) }) };
  t.same(spansOf([...moved, broker]), spans, 'a new Broker moves nothing');
});

t.test('what the own group has served is known from the registry, to whoever reads it', async (t) => {
  const own = manifestOf(triggerText('a', { annotations: 'posthorn.dev/consumer-group: own' }));
  const back = [
    set('a', { uid: 'u1', manifest: own, laneSpan: { group: 'own', from: [5] } }),
    set('a', { uid: 'u1', laneSpan: { group: 'shared', from: [9] } }),
  ];
  const { state } = foldAll(...back);
  const told = (uid: string, laneSpans: number): LogRecord[] => {
    const { key, value } = handBackRecord('a', { uid, laneSpans, atMs: 1 });
    return [record(2, String(key), String(value))];
  };
  t.equal(fold(state, told('u0', 2)).state, state, 'of one of its name that was deleted');
  const served = fold(state, told('u1', 2));
  t.same(served.remarks, []);
  t.same(served.state.triggers.get('a')?.trigger?.laneSpans, [
    { group: 'own', from: [5], isServed: true },
    { group: 'shared', from: [9] },
  ]);
  t.equal(served.state.triggers.get('a')?.generation, 2, 'it is no revision');
  t.equal(fold(served.state, told('u1', 2)).state, served.state, 'a second process says it too');
  const malformed = record(3, 'trigger/a', '{"op":"handed-back","uid":"u1","laneSpans":-1,"atMs":1}');
  t.match(fold(state, [malformed]), { state, remarks: [{ message: /not a hand-back: .*laneSpans/ }] });
});

t.test('a record that is no revision is named and passed over', async (t) => {
  const bad = ['', 'no json', '[]', '{"op":"drop"}', '{"op":"set","uid":"u","owner":"o","generation":1,"atMs":1}'];
  const junk = bad.map((value, offset): LogRecord => record(offset, 'trigger/a', value));
  const { state, remarks } = fold(start, [...junk, record(9, 'novelty/a', JSON.stringify(revision({ uid: 'u' })))]);
  t.equal(state, start);
  t.equal(remarks.length, 6);
  for (const { message } of remarks.slice(0, 5)) t.match(message, /not a revision/);
});

t.test('one more trigger among 10,000 takes milliseconds', async (t) => {
  const many = Array.from({ length: 10_000 }, (_, i) => set(`t${i}`, { uid: `u${i}` }));
  const { state } = foldAll(...many);
  const one = records(set('one-more', { uid: 'x' }));
  let shortestMs = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 20; i++) {
    const beganMs = performance.now();
    fold(state, one);
    shortestMs = Math.min(shortestMs, performance.now() - beganMs);
  }
  t.ok(shortestMs < 10, `${shortestMs.toFixed(2)} ms`);
});

function spansOf(revisions: readonly Keyed[]): readonly LaneSpan[] {
  return foldAll(...revisions).state.triggers.get('a')?.trigger?.laneSpans ?? [];
}

interface Keyed {
  readonly key: string;
  readonly revision: Revision;
}

function set(name: string, { uri, ...more }: Partial<Revision> & { uri?: string } = {}): Keyed {
  const manifest = manifestOf(triggerText(name, uri === undefined ? {} : { uri }));
  return { key: `trigger/${name}`, revision: revision({ manifest, ...more }) };
}

function del(name: string, more: Partial<Revision>): Keyed {
  return { key: `trigger/${name}`, revision: revision({ op: 'delete', manifest: null, ...more }) };
}

function revision(more: Partial<Revision>): Revision {
  return { op: 'set', uid: 'u', generation: 1, owner: 'apply', manifest: null, atMs: 1, ...more };
}

function records(...revisions: Keyed[]): LogRecord[] {
  return revisions.map(({ key, revision }, offset) => {
    const made = revisionRecord(key, revision);
    return { offset, timestampMs: 0, key: made.key, value: made.value, headers: {} };
  });
}

function record(offset: number, key: string, value: string): LogRecord {
  return { offset, timestampMs: 0, key: Buffer.from(key), value: Buffer.from(value), headers: {} };
}

function foldAll(...revisions: Keyed[]): { state: RegistryState; remarks: readonly { message: string }[] } {
  return fold(start, records(...revisions));
}

function manifestOf(text: string): Manifest {
  const { documents, problems } = parseManifests(text, 'test.yaml');
  if (!documents[0]) throw new Error(JSON.stringify(problems));
  return documents[0].manifest;
}
