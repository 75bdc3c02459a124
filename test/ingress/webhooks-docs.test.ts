import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { providerNames } from '../../broker/ingress/webhook/providers.ts';
import { schemes } from '../../broker/ingress/webhook/read-verification.ts';
import { toleranceDefaultMs } from '../../broker/ingress/webhook/verify.ts';
import { entryFields, parseWebhooks } from '../../broker/ingress/webhook/webhooks-file.ts';
import { parseManifests } from '../../broker/trigger/manifest.ts';
import { formatIsoDuration } from '../../runtime/duration.ts';
import { Secret } from '../../runtime/secrets.ts';

const docs = readFileSync(path.resolve(import.meta.dirname, '../../docs/webhooks.md'), 'utf8');
const examples = [...docs.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, yaml = '']) => yaml);

t.test('the examples of docs/webhooks.md are right', (t) => {
  const secrets = new Map(['github', 'crm'].map((name) => [name, new Secret(name, ['s3cret'])]));
  const [trigger = '', broker = '', webhooks = '', ...others] = examples;
  t.strictSame(others, []);
  for (const yaml of [trigger, broker]) {
    const { documents, problems } = parseManifests(yaml, 'example.yaml');
    t.strictSame([documents.length, problems], [1, []]);
  }
  const parsed = parseWebhooks(webhooks, secrets);
  t.strictSame([parsed.webhooks.length, parsed.problems], [2, []]);
  t.end();
});

t.test('it has each field of a webhook, each provider and each scheme', (t) => {
  for (const name of [...entryFields, 'scheme', ...Object.values(schemes).flat()]) {
    t.match(docs, new RegExp(`^\\| \`${name}\` +\\|`, 'm'), `a row for ${name}`);
  }
  for (const name of [...providerNames, ...Object.keys(schemes)]) t.match(docs, `\`${name}\``, name);
  t.match(docs, `| \`${formatIsoDuration(toleranceDefaultMs)}\``);
  t.end();
});

t.test('docs/triggers.md points at sections that are there', (t) => {
  const triggers = readFileSync(path.resolve(import.meta.dirname, '../../docs/triggers.md'), 'utf8');
  const anchors = [...docs.matchAll(/^## (.*)$/gm)].map(([, title = '']) => title.toLowerCase().replaceAll(' ', '-'));
  const links = [...triggers.matchAll(/\(webhooks\.md#([^)]+)\)/g)].map(([, anchor = '']) => anchor);
  t.ok(links.length >= 3);
  for (const link of links) t.ok(anchors.includes(link), link);
  t.end();
});
