import t from 'tap';
import { brokerFromManifest, parseManifests } from '../../broker/trigger/manifest.ts';
import { annotated, saidOf } from './said-of.ts';

function rulesOf(lines: string) {
  const { documents, problems } = parseManifests(annotated('Broker', lines), 'file.yaml');
  const [document] = documents;
  if (document === undefined || problems.length > 0) throw new Error(JSON.stringify(problems));
  return brokerFromManifest(document.manifest, 'default').schemaRules;
}

t.test('what a Broker says of schemas', async (t) => {
  t.equal(rulesOf('    posthorn.dev/key: /id'), null);
  t.strictSame(rulesOf('    posthorn.dev/schemas: required'), { policy: 'required', types: new Map(), onTopic: false });
  t.strictSame(rulesOf('    posthorn.dev/validate-topic: "true"'), {
    policy: 'known',
    types: new Map(),
    onTopic: true,
  });
  const types = `    posthorn.dev/type-schemas: '{"com.example.a": "shop/a.json", "com.example.b": "https://example.com/b"}'`;
  const wanted = new Map([
    ['com.example.a', 'shop/a.json'],
    ['com.example.b', 'https://example.com/b'],
  ]);
  t.strictSame(rulesOf(types), { policy: 'known', types: wanted, onTopic: false });
});

t.test('what is wrong is said, with the place', async (t) => {
  const said = (lines: string): string => saidOf(annotated('Broker', lines)).join('\n');
  t.match(said('    posthorn.dev/schemas: strict'), /^6:27 error .*posthorn\.dev\/schemas.*must be off/);
  t.match(said('    posthorn.dev/validate-topic: "yes"'), /^6:34 error .*true/);
  t.match(
    said('    posthorn.dev/type-schemas: order.json'),
    /must be an object of event types and the names of their schemas/,
  );
  t.match(
    said(`    posthorn.dev/type-schemas: '{"a": 1}'`),
    /has .*1 for a; must be the URI of a schema without fragment, or its path/,
  );
  t.match(said(`    posthorn.dev/type-schemas: '{"a": "/etc/x.json"}'`), /has "\/etc\/x\.json" for a/);
  t.match(said(`    posthorn.dev/type-schemas: '{"a": "x.json#/a"}'`), /without fragment/);
  t.match(
    said('    posthorn.dev/schemas: "off"\n    posthorn.dev/validate-topic: "true"'),
    /warning .*no effect with posthorn\.dev\/schemas: "off"/,
  );
  t.match(said('    posthorn.dev/schema: known'), /did you mean posthorn\.dev\/schemas\?/);
});
