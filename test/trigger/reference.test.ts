import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { parseManifests } from '../../broker/trigger/manifest.ts';

const root = path.resolve(import.meta.dirname, '../..');
const reference = readFileSync(path.join(root, 'docs/triggers.md'), 'utf8');

t.test('docs/triggers.md has each annotation and each field of a delivery that is read', async (t) => {
  const names = (file: string, pattern: RegExp): string[] =>
    [...readFileSync(path.join(root, 'broker/trigger', file), 'utf8').matchAll(pattern)].map(([, name = '']) => name);
  const annotations = names('manifest-annotations.ts', /^const \w+ = '((?:[a-z.]+)\/[a-z.-]+)';$/gm);
  const fields = names('manifest-delivery.ts', /delivery\.field\('(\w+)'\)/g);
  t.ok(annotations.length >= 9 && fields.length >= 7, 'they are found');
  for (const name of annotations) t.match(reference, `| \`${name}\``, `a row for ${name}`);
  for (const name of fields) t.match(reference, `| \`delivery.${name}\``, `a row for ${name}`);
});

t.test('its example is right', async (t) => {
  const [, yaml = ''] = /^```yaml\n([\s\S]*?)^```$/m.exec(reference) ?? [];
  const { documents, problems } = parseManifests(yaml, 'example.yaml');
  t.strictSame([documents.length, problems], [1, []]);
});
