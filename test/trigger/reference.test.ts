import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { expressionCharactersMax } from '../../broker/filter/data/cel.ts';
import { charactersPerStep, stepsMax } from '../../broker/filter/data/evaluation.ts';
import { dataBytesMax, dataNestingMax, dataValuesMax } from '../../broker/filter/data/event-data.ts';
import { parseManifests } from '../../broker/trigger/manifest.ts';

const root = path.resolve(import.meta.dirname, '../..');
const reference = readFileSync(path.join(root, 'docs/triggers.md'), 'utf8');

t.test('docs/triggers.md has each annotation and each field of a delivery that is read', async (t) => {
  const names = (file: string, pattern: RegExp): string[] =>
    [...readFileSync(path.join(root, 'broker/trigger', file), 'utf8').matchAll(pattern)].map(([, name = '']) => name);
  const annotations = ['manifest-annotations.ts', 'manifest-schemas.ts'].flatMap((file) =>
    names(file, /^(?:export )?const \w+ = '((?:[a-z.]+)\/[a-z.-]+)';$/gm),
  );
  const fields = names('manifest-delivery.ts', /delivery\.field\('(\w+)'\)/g);
  t.ok(annotations.length >= 9 && fields.length >= 7, 'they are found');
  for (const name of annotations) t.match(reference, `| \`${name}\``, `a row for ${name}`);
  for (const name of fields) t.match(reference, `| \`delivery.${name}\``, `a row for ${name}`);
});

t.test('its examples are right', async (t) => {
  const examples = [...reference.matchAll(/^```yaml\n(apiVersion[\s\S]*?)^```$/gm)].map(([, yaml = '']) => yaml);
  t.ok(examples.length >= 2, 'they are found');
  for (const yaml of examples) {
    const { documents, problems } = parseManifests(yaml, 'example.yaml');
    t.strictSame([documents.length, problems], [1, []]);
  }
});

t.test('the bounds of data filters are those that hold', async (t) => {
  const number = (value: number): string => value.toLocaleString('en-US');
  const row = (name: string): string => new RegExp(`^\\| ${name} +\\| (.*?) *\\|$`, 'm').exec(reference)?.[1] ?? '';
  t.match(row('expression'), `${number(expressionCharactersMax)} characters`);
  const [bytes, depth, values] = [dataBytesMax, dataNestingMax, dataValuesMax].map(number);
  t.equal(row('data'), `${bytes} bytes, ${depth} levels deep, ${values} values`);
  t.match(row('evaluation'), `${number(stepsMax)} steps`);
  t.match(row('evaluation'), `${charactersPerStep} characters of a text`);
});
