import t from 'tap';
import { passes } from '../../broker/filter/match.ts';
import type { AttributeValues, Filter } from '../../broker/trigger/trigger.ts';
import { eventWith } from './sample.ts';

const exact = (attributes: AttributeValues): Filter => ({ dialect: 'exact', attributes });
const prefix = (attributes: AttributeValues): Filter => ({ dialect: 'prefix', attributes });
const suffix = (attributes: AttributeValues): Filter => ({ dialect: 'suffix', attributes });
const attributes = (values: AttributeValues): Filter => ({ dialect: 'attributes', attributes: values });
const all = (...filters: Filter[]): Filter => ({ dialect: 'all', filters });
const any = (...filters: Filter[]): Filter => ({ dialect: 'any', filters });
const not = (filter: Filter): Filter => ({ dialect: 'not', filter });
const cesql = (expression: string): Filter => ({ dialect: 'cesql', expression });

const event = eventWith({
  datacontenttype: 'application/json',
  time: '2026-01-02T03:04:05Z',
  subject: 'cart/Ä',
  partitionkey: '',
  count: '42',
});

const cases: readonly (readonly [does: string, filter: Filter, passes: boolean])[] = [
  ['exact compares the whole value', exact({ type: 'com.example.created' }), true],
  ['exact does not take a part for the whole', exact({ type: 'com.example' }), false],
  ['exact tells letters apart by case', exact({ type: 'com.example.Created' }), false],
  ['every attribute of exact must match', exact({ type: 'com.example.created', source: '/other' }), false],
  ['exact on several attributes', exact({ type: 'com.example.created', source: '/shop' }), true],
  ['exact on what the event lacks is false', exact({ dataschema: 'x' }), false],
  ['exact sees specversion', exact({ specversion: '1.0' }), true],
  ['exact sees datacontenttype', exact({ datacontenttype: 'application/json' }), true],
  ['exact sees time as it was sent', exact({ time: '2026-01-02T03:04:05Z' }), true],
  ['exact compares a number by its canonical form', exact({ count: '42' }), true],
  ['prefix compares the beginning', prefix({ type: 'com.example.' }), true],
  ['prefix of the whole', prefix({ source: '/shop' }), true],
  ['prefix longer than the value', prefix({ source: '/shop/1' }), false],
  ['prefix on what the event lacks is false', prefix({ dataschema: 'x' }), false],
  ['every attribute of prefix must match', prefix({ type: 'com', source: 'x' }), false],
  ['suffix compares the end', suffix({ type: '.created' }), true],
  ['suffix sees letters beyond ASCII', suffix({ subject: 'Ä' }), true],
  ['suffix that is elsewhere', suffix({ type: 'com' }), false],
  ['suffix on what the event lacks is false', suffix({ dataschema: 'x' }), false],
  ['attributes compares the whole value', attributes({ type: 'com.example.created' }), true],
  ['attributes with another value', attributes({ type: 'com.example' }), false],
  ['attributes with "" takes any value', attributes({ subject: '', type: '' }), true],
  ['attributes with "" on what the event lacks is false', attributes({ dataschema: '' }), false],
  ['attributes with "" on an empty value is false, as in Knative', attributes({ partitionkey: '' }), false],
  ['all of filters that pass', all(exact({ source: '/shop' }), prefix({ type: 'com.' })), true],
  ['all with one that does not pass', all(exact({ source: '/shop' }), prefix({ type: 'org.' })), false],
  ['any with one that passes', any(exact({ source: '/other' }), prefix({ type: 'com.' })), true],
  ['any with none that passes', any(exact({ source: '/other' }), prefix({ type: 'org.' })), false],
  ['not of what passes', not(exact({ source: '/shop' })), false],
  ['not of what does not pass', not(exact({ source: '/other' })), true],
  ['not of what the event lacks passes', not(exact({ dataschema: 'x' })), true],
  ['not of not', not(not(exact({ source: '/shop' }))), true],
  ['an expression that is TRUE', cesql("type LIKE 'com.%' AND source = '/shop'"), true],
  ['an expression that is FALSE', cesql("type = 'x'"), false],
  ['an expression sees extensions, and reads them as numbers where it needs one', cesql('count > 41'), true],
  ['an expression on what the event lacks does not pass', cesql("dataschema != 'x'"), false],
  ['an expression that is TRUE but for an error does not pass', cesql("dataschema = 'x' OR source = '/shop'"), false],
  ['not of an expression with an error passes', not(cesql("dataschema = 'x'")), true],
  ['an expression has nothing that objects inherit', cesql('EXISTS constructor'), false],
  ['nested', all(any(not(exact({ type: 'x' })), exact({ type: 'y' })), suffix({ source: 'op' })), true],
  ['names that objects inherit are absent', exact({ constructor: 'x', tostring: 'y' }), false],
  ['not of a name that objects inherit', not(prefix({ constructor: 'function' })), true],
];

t.test('each dialect of filters', async (t) => {
  for (const [does, filter, expected] of cases) t.equal(passes([filter], event), expected, does);
});

t.test('all filters of a trigger must pass, and without any every event does', async (t) => {
  t.equal(passes([], event), true);
  t.equal(passes([exact({ source: '/shop' }), prefix({ type: 'com.' })], event), true);
  t.equal(passes([exact({ source: '/shop' }), prefix({ type: 'org.' })], event), false);
});
