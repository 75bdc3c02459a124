import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { schemaMaxBytes } from '../../broker/schema/directory.ts';
import { fetchTimeoutMs } from '../../broker/schema/fetch.ts';
import { stepsMax, stepsPerReference } from '../../broker/schema/keywords.ts';
import { openSchemas } from '../../broker/schema/open.ts';
import { freshness } from '../../broker/schema/registry.ts';
import { eventJudge } from '../../broker/schema/rules.ts';
import { violationsMax } from '../../broker/schema/violation.ts';
import { parseManifests } from '../../broker/trigger/manifest.ts';
import { schemaPolicies } from '../../broker/trigger/trigger.ts';
import { eventHeaders, startIngress } from '../ingress/start.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { silent } from '../support/silent.ts';

const docs = readFileSync(path.resolve(import.meta.dirname, '../../docs/schemas.md'), 'utf8');
const blocks = (language: string): string[] =>
  [...docs.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, text = '']) => text);

t.test('its example is answered as it says', async (t) => {
  const [schema = '', problem = ''] = blocks('json');
  const directory = mkdtempSync(path.join(tmpdir(), 'posthorn-docs-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  writeFileSync(path.join(directory, 'order.json'), schema);
  const schemas = await openSchemas({ directory, base: null, clock: new ManualClock(), logger: silent });
  t.teardown(() => schemas.close());
  const ingress = await startIngress();
  t.teardown(ingress.close);
  ingress.target.judge = eventJudge(schemas, null);
  const curl = blocks('sh').find((text) => text.startsWith('curl')) ?? '';
  const [, dataschema = ''] = /ce-dataschema: ([^']+)/.exec(curl) ?? [];
  const [, body = ''] = / -d '([^']+)'/.exec(curl) ?? [];
  const headers = { ...eventHeaders, 'content-type': 'application/json', 'ce-dataschema': dataschema };
  const answer = await fetch(ingress.url, { method: 'POST', headers, body });
  t.equal(answer.status, 422);
  t.strictSame(await answer.json(), JSON.parse(problem));
});

t.test('its Broker is right, and it has each policy and each annotation', async (t) => {
  const [yaml = '', ...others] = blocks('yaml');
  t.strictSame(others, []);
  const { documents, problems } = parseManifests(yaml, 'example.yaml');
  t.strictSame([documents.length, problems], [1, []]);
  for (const policy of schemaPolicies) t.match(docs, new RegExp(`^\\| \`${policy}\` +\\|`, 'm'));
  for (const name of ['schemas', 'type-schemas', 'validate-topic']) t.match(docs, `posthorn.dev/${name}`);
});

t.test('its numbers are those that hold', async (t) => {
  t.match(docs, `The first ${violationsMax} violations`);
  t.match(docs, `${stepsMax.toLocaleString('en-US')} steps`);
  t.strictSame([stepsPerReference, schemaMaxBytes], [20, 1_048_576]);
  const { leastMs, mostMs, unsaidMs, absentMs } = freshness;
  t.strictSame([leastMs, mostMs, unsaidMs, absentMs], [5_000, 86_400_000, 300_000, 60_000]);
  t.ok(fetchTimeoutMs < 10_000);
});
