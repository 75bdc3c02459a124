import t from 'tap';
import { eventReader, toBrokerRecord } from '../../broker/records.ts';
import { brokerFromManifest, parseManifests } from '../../broker/trigger/manifest.ts';
import type { Broker } from '../../broker/trigger/trigger.ts';
import { toRecord } from '../../event/kafka.ts';
import { eventWith, refusal } from '../event/sample.ts';
import { brokerOf, brokerYaml } from '../support/brokers.ts';
import { asLogRecord } from '../support/scripted-log.ts';

const name = { namespace: 'default', name: 'pages' };
const at = { topic: 'pages', partition: 0 };
const plain = { offset: 0, timestampMs: 0, key: null, value: Buffer.from('{}'), headers: {} };

function brokerWith(annotations: Record<string, string>): Broker {
  const [document] = parseManifests(brokerYaml('pages', annotations), 'broker.yaml').documents;
  if (!document) throw new Error('the manifest is wrong');
  return brokerFromManifest(document.manifest, 'default');
}

t.test('a record without attributes is an event only where a Broker says that there are such', async (t) => {
  for (const broker of [null, brokerWith({})]) {
    t.match(refusal(t, () => eventReader(name, broker)(plain, at), 'plain').message, 'not a CloudEvent');
  }
  for (const broker of [brokerOf(['pages']), brokerWith({ 'posthorn.dev/value-format': 'data' })]) {
    t.equal(eventReader(name, broker)(plain, at).attributes.id, 'partition:0/offset:0');
    const event = eventReader(name, broker)(asLogRecord(toRecord(eventWith({ id: 'own' })), 3), at);
    t.equal(event.attributes.id, 'own', 'a CloudEvent is read as it is');
    const broken = { ...plain, headers: { ce_id: '1' } };
    t.match(refusal(t, () => eventReader(name, broker)(broken, at), 'broken').message, 'are missing');
  }
});

t.test("a record's key is made of the data, or the partitionkey", async (t) => {
  const data = '{"wiki_id": "de", "page": {"page_id": 12345678901234567890, "title": "Zürich"}}';
  const keyOf = (key: string | null, text = data): string | undefined => {
    const event = eventWith({ partitionkey: 'own', datacontenttype: 'application/json' }, text);
    return toBrokerRecord(event, brokerWith(key === null ? {} : { 'posthorn.dev/key': key })).key?.toString();
  };
  t.equal(keyOf(null), 'own');
  t.equal(keyOf('/page/title'), 'Zürich');
  t.equal(keyOf('{/wiki_id}:{/page/page_id}'), 'de:12345678901234567890');
  t.equal(keyOf('{"w": "/wiki_id", "p": "/page"}'), '{"w":"de","p":{"page_id":12345678901234567890,"title":"Zürich"}}');
  const said = (key: string, text?: string) => refusal(t, () => keyOf(key, text), key).message;
  t.match(said('/none'), "the record's key can't be made of the event's data: it does not have all that");
  t.match(said('{"w": "/wiki_id", "p": "/none"}'), 'it does not have all that posthorn.dev/key names');
  t.match(said('/page'), 'the value has an object at /page');
  t.match(said('/page', 'text'), 'the value is not JSON');
});
