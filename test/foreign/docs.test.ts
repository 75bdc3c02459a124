import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { type Quirks, quirks } from './quirks.ts';

const root = path.resolve(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const section = read('docs/knative.md').split('\n## SDKs and functions frameworks\n')[1] ?? '';
const [clients = '', otherwise = ''] = section.split('\n| client | what it does |\n');

/** How the docs call those that have quirks; all but the last two are SDKs. */
const names = {
  javascript: /JavaScript/,
  python: /(?<!for )Python/,
  go: /Go/,
  java: /Java(?!Script)/,
  nodeFunctions: /functions framework for Node\.js|both frameworks/,
  pythonFunctions: /functions framework for Python|both frameworks/,
} as const;

t.test('docs/knative.md has the versions that the tests install', async (t) => {
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, { version: string }> };
  const npm = (name: string) => `\`${name}\` ${packages[`node_modules/${name}`]?.version}`;
  const all = (file: string, pattern: RegExp) =>
    [...read(`test/foreign/${file}`).matchAll(pattern)].map(([, name, version]) => `\`${name}\` ${version}`);
  const pip = (file: string) => all(`${file}/requirements.in`, /^(\S+)==(\S+)$/gm);
  const versions = [
    npm('cloudevents'),
    npm('kafkajs'),
    npm('@google-cloud/functions-framework'),
    ...pip('python'),
    ...pip('functions/python'),
    ...all('functions/python/requirements.txt', /^(cloudevents)==(\S+) \\$/gm),
    ...all('go/go.mod', /^\t(github\.com\/cloudevents\S+) v(\S+)$/gm),
    ...all(
      'java/pom.xml',
      /<artifactId>(cloudevents-http-basic|cloudevents-kafka|kafka-clients)<.*\n *<version>(.*)</g,
    ),
  ];
  t.equal(versions.length, 12);
  for (const version of versions) t.ok(clients.includes(version), version);
});

t.test('what requirements.in asks for is what requirements.txt installs', async (t) => {
  for (const folder of ['python', 'functions/python']) {
    const locked = read(`test/foreign/${folder}/requirements.txt`);
    for (const line of read(`test/foreign/${folder}/requirements.in`).trim().split('\n')) {
      t.ok(locked.includes(`${line} \\\n    --hash=sha256:`), line);
    }
  }
});

t.test('docs/knative.md has every quirk that the tests allow, and no other', async (t) => {
  const rows = [...otherwise.matchAll(/^\| (?!---)(.+?) \| (.+) \|$/gm)].map(([, who = '', what = '']) => ({
    who,
    what,
  }));
  for (const [key, { sending, reading }] of Object.entries(quirks) as [keyof typeof names, Quirks][]) {
    const said = [...sending, ...reading].flatMap(({ says }) => (says === undefined ? [] : [says]));
    const wanted = rows.filter(({ who }) => names[key].test(who)).map(({ what }) => what);
    t.strictSame([...new Set(wanted)].sort(), [...new Set(said)].sort(), key);
  }
});
