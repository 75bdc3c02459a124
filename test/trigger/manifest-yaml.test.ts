import t from 'tap';
import { parseManifests } from '../../broker/trigger/manifest.ts';
import { saidOf, triggerWith } from './said-of.ts';

const subscriber = "  subscriber: { uri: 'http://orders:8080/' }";

t.test('what is not YAML is refused with its place', async (t) => {
  const cases: Readonly<Record<string, readonly [text: string, said: readonly string[]]>> = {
    'a tab': [
      'apiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata:\n\tname: orders\n',
      ['4:1 error not YAML: tabs are not allowed as indentation'],
    ],
    'a quote that is not closed': [triggerWith('  broker: "shop'), ['6:1 error not YAML: missing closing "quote']],
    'a bracket that is not closed': [
      triggerWith('  subscriber: { uri: x'),
      ['6:1 error not YAML: flow map in block collection must be sufficiently indented and end with a }'],
    ],
    'a key given twice': [
      triggerWith(`${subscriber}\n  broker: a\n  broker: b`),
      ['7:3 error spec.broker: given twice, first at 6:3; keep one'],
    ],
    'keys that are no strings': [
      triggerWith(`${subscriber}\n  filter: { attributes: { 1: a, [b]: c } }`),
      [
        '6:27 error spec.filter.attributes: a key must be a string; write it in quotes',
        '6:33 error spec.filter.attributes: a key must be a string; write it in quotes',
      ],
    ],
    'a template': [
      triggerWith(`${subscriber}\n  broker: {{ .Values.broker }}`),
      [
        '6:11 error spec.broker: must be a string, found an object',
        '6:12 error spec.broker: a key must be a string; write it in quotes',
      ],
    ],
    'an alias of nothing': [
      triggerWith(`${subscriber}\n  delivery: *retries`),
      ['6:13 error spec.delivery: there is no anchor &retries before it'],
    ],
  };
  for (const [name, [text, said]] of Object.entries(cases)) {
    t.strictSame(saidOf(text), said, name);
    t.strictSame(parseManifests(text, 'file.yaml').documents, [], name);
  }
});

t.test('a document with a mistake does not hide those of the others', async (t) => {
  const text = `a: [\n---\n${triggerWith('  subscriber: { uri: here }')}`;
  t.strictSame(
    saidOf(text).at(-1),
    '7:22 error spec.subscriber.uri: must be an absolute http or https URL, found "here"; write http://here',
  );
  t.ok(saidOf(text).length > 1);
});

t.test('files that are made to exhaust their reader are refused soon', async (t) => {
  const wide = Array.from({ length: 9 }, (_, level) => {
    const name = String.fromCharCode(98 + level);
    return `  ${name}: &${name} [${Array(10)
      .fill(`*${String.fromCharCode(97 + level)}`)
      .join(', ')}]`;
  });
  const cases: Readonly<Record<string, readonly [text: string, said: RegExp]>> = {
    'aliases of aliases': [
      triggerWith(`  a: &a [x, x, x, x, x, x, x, x, x, x]\n${wide.join('\n')}`),
      /aliases make more than 10000 values; write them out/,
    ],
    'an alias in its own anchor': [
      triggerWith('  subscriber: &a { uri: *a }'),
      /nested more than 100 deep, or an alias within its own anchor/,
    ],
    'lists in lists': ['['.repeat(10_000), /nested too deeply to be read/],
    'objects in objects': [`${'{ a: '.repeat(5_000)}1${' }'.repeat(5_000)}`, /nested too deeply to be read/],
    'deeper than any manifest': [
      triggerWith(`  subscriber: ${'{ uri: '.repeat(200)}1${' }'.repeat(200)}`),
      /nested more than 100 deep/,
    ],
    'a large manifest': [
      triggerWith(`${subscriber}\n  filter: { attributes: { type: '${'x'.repeat(600_000)}' } }`),
      /the manifest has \d+ bytes as JSON, at most 524288 are taken/,
    ],
    'a large file': [
      `# ${'x'.repeat(16_777_216)}`,
      /the file has 16777218 bytes, at most 16777216 are read; divide it/,
    ],
  };
  for (const [name, [text, said]] of Object.entries(cases)) t.match(saidOf(text).join('\n'), said, name);
});

t.test('of a file with thousands of problems a thousand are given, and their number', async (t) => {
  const labels = Array.from({ length: 1_500 }, (_, index) => `    l${index}: ${index}`).join('\n');
  const said = saidOf(
    `apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata:\n  name: shop\n  labels:\n${labels}\n`,
  );
  t.equal(said.length, 1_001);
  t.equal(said.at(-1), '1506:1 error and 500 more problems in this file');
});

t.test('what YAML allows is read', async (t) => {
  const spec = { subscriber: { uri: 'http://orders:8080/' }, delivery: { retry: 3, backoffDelay: 'PT3S' } };
  const manifest = { apiVersion: 'eventing.knative.dev/v1', kind: 'Trigger', metadata: { name: 'orders' }, spec };
  const delivery = '  delivery: { retry: 3, backoffDelay: PT3S }';
  const texts: Readonly<Record<string, string>> = {
    plain: triggerWith(`${subscriber}\n${delivery}`),
    'lines that end as on Windows': triggerWith(`${subscriber}\n${delivery}`).replaceAll('\n', '\r\n'),
    'a byte order mark': `\uFEFF${triggerWith(`${subscriber}\n${delivery}`)}`,
    'empty documents around it': `---\n---\n${triggerWith(`${subscriber}\n${delivery}`)}---\n`,
    JSON: JSON.stringify(manifest),
    'JSON with tabs': JSON.stringify(manifest, null, '\t'),
    'anchors and aliases': triggerWith(`${subscriber}\n  delivery: { retry: 3, backoffDelay: &delay PT3S }`).replace(
      'kind:',
      '"kind":',
    ),
    'merge keys': triggerWith(`${subscriber}\n  delivery:\n    <<: { retry: 5, backoffDelay: PT3S }\n    retry: 3`),
    'merge keys of lists': triggerWith(
      `${subscriber}\n  delivery: { <<: [{ retry: 3 }, { retry: 4, backoffDelay: PT3S }] }`,
    ),
    'tags of YAML': triggerWith(`${subscriber}\n  delivery: { retry: !!int 3, backoffDelay: !!str PT3S }`),
  };
  for (const [name, text] of Object.entries(texts)) {
    const { documents, problems } = parseManifests(text, 'file.yaml');
    t.strictSame(problems, [], name);
    t.strictSame(
      documents.map((document) => document.manifest.spec),
      [spec],
      name,
    );
  }
});

t.test('an alias brings its value, with the place where it is used', async (t) => {
  const text = triggerWith(`${subscriber}
  delivery: { backoffDelay: &delay PT3S, timeout: *delay }
  filters: [{ exact: &attributes { type: yes } }, { prefix: *attributes }]`);
  t.strictSame(saidOf(text), [
    '7:42 error spec.filters[0].exact.type: must be a string, but Kubernetes reads yes as a boolean; write "yes"',
    '7:42 error spec.filters[1].prefix.type: must be a string, but Kubernetes reads yes as a boolean; write "yes"',
  ]);
});

t.test('a merge that merges itself ends', async (t) => {
  t.strictSame(saidOf(triggerWith("  subscriber: &a { <<: [*a, *a], uri: 'http://orders/' }")), []);
});

t.test('a string in quotes or with a tag is a string whatever it looks like', async (t) => {
  const text = triggerWith(`${subscriber}\n  filters: [{ exact: { a: 'yes', b: "1", c: !!str no, d: yEs } }]`);
  t.strictSame(saidOf(text), []);
});

t.test('ten thousand triggers fit in one file', async (t) => {
  const text = Array.from({ length: 10_000 }, (_, n) => triggerWith(subscriber).replace('orders', `orders${n}`));
  const { documents, problems } = parseManifests(text.join('---\n'), 'file.yaml');
  t.strictSame(problems, []);
  t.equal(documents.length, 10_000);
});
