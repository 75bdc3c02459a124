import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import t from 'tap';

/** The repository tests its own shape. What fails here is a rule of the house, told in each failure. */

const root = dirname(import.meta.dirname);

/** A layer imports from itself and those after it. */
const layers = ['cli', 'console', 'dispatcher', 'broker', 'event', 'runtime'];

/** What one folder alone may import, so that the rest of the tree doesn't know which log runs, or what validates. */
const confined = [
  { module: /^kafkajs/, folder: 'broker/log/kafka/' },
  { module: /^node:sqlite$/, folder: 'broker/log/embedded/' },
  { module: /^ajv/, folder: 'broker/schema/' },
];

const linesMax = 400;

/** Files that are longer, and why that is better than two files. */
const longFiles: Readonly<Record<string, string>> = {};

const sourceFiles = filesBelow(root).filter((path) => path.endsWith('.ts'));
const productFiles = sourceFiles.filter((path) => layers.includes(layerOf(path)));
const testFiles = sourceFiles.filter((path) => path.startsWith('test/'));
const textFiles = filesBelow(root).filter((path) => !/\.(png|ico|gz|lz4|snappy|zst|bin|jar)$/.test(path));

t.ok(productFiles.length > 50 && testFiles.length > 10, 'the files are found');

t.test('imports go one way: cli -> console -> dispatcher -> broker -> event -> runtime', async (t) => {
  const wrong = productFiles.flatMap((path) =>
    importsOf(path)
      .filter((module) => module.startsWith('.'))
      .map((module) => posix.join(posix.dirname(path), module))
      .filter((imported) => layers.indexOf(layerOf(imported)) < layers.indexOf(layerOf(path)))
      .map((imported) => `${path} imports ${imported}`),
  );
  t.strictSame(wrong, []);
});

t.test('only one folder knows what the log is made of, and what validates', async (t) => {
  const wrong = productFiles.flatMap((path) =>
    importsOf(path)
      .filter((module) => confined.some((one) => one.module.test(module) && !path.startsWith(one.folder)))
      .map((module) => `${path} imports ${module}`),
  );
  t.strictSame(wrong, []);
});

t.test('relative imports name the file with its .ts', async (t) => {
  const wrong = sourceFiles.flatMap((path) =>
    importsOf(path)
      .filter((module) => module.startsWith('.') && !/\.(ts|js|json)$/.test(module))
      .map((module) => `${path} imports ${module}`),
  );
  t.strictSame(wrong, []);
});

t.test('no leak is hidden with unref(), and nothing is exported as default', async (t) => {
  t.strictSame(
    matches(
      sourceFiles.filter((path) => path !== 'test/tidy.test.ts'),
      /\.unref\(|^export default\b/m,
    ),
    [],
  );
});

t.test('no test is skipped, postponed or run alone', async (t) => {
  t.strictSame(matches(testFiles, /\bt\.(skip|todo|only)\(|\b(skip|todo|only): (true|'|")/), []);
});

t.test('every test file is found by npm test', async (t) => {
  const strays = testFiles.filter((path) => /^\s*(await )?t\.test\(/m.test(read(path)) && !path.endsWith('.test.ts'));
  // Suites that several test files run are functions of theirs.
  t.strictSame(
    strays.filter((path) => !/export (async )?function/.test(read(path))),
    [],
  );
});

t.test(`a file over ${linesMax} lines has a reason in this test`, async (t) => {
  const long = sourceFiles.filter((path) => read(path).split('\n').length - 1 > linesMax);
  t.strictSame(long, Object.keys(longFiles).sort());
});

t.test('no path of the machine that a file was written on', async (t) => {
  const machinePath = /(?<![\w.$}])\/(work|root|home|Users)\/\w/;
  t.strictSame(matches(textFiles, machinePath), []);
});

t.test('an error code means one thing, and docs/errors.md explains each', async (t) => {
  const places = new Map<string, string[]>();
  const classes = new Map<string, number>();
  for (const path of productFiles) {
    for (const [, how = '', first = ''] of read(path).matchAll(
      /\b(super|new PosthornError)\(\s*([^,()]*?'[A-Z][A-Z0-9_]+'[^,()]*?),/g,
    )) {
      for (const [, code = ''] of first.matchAll(/'([A-Z][A-Z0-9_]+)'/g)) {
        places.set(code, [...(places.get(code) ?? []), path]);
        if (how === 'super') classes.set(code, (classes.get(code) ?? 0) + 1);
      }
    }
  }
  for (const [code, count] of classes) t.equal(count, 1, `${code} is the code of one class`);
  const rows = [...read('docs/errors.md').matchAll(/^\| `([A-Z][A-Z0-9_]+)` +\|/gm)].map(([, code = '']) => code);
  t.strictSame(
    rows,
    [...new Set(rows)].sort(),
    'the table in docs/errors.md has each code once, in alphabetical order',
  );
  for (const [code, paths] of places) {
    const advice = 'WHOEVER ADDS AN ERROR CODE ADDS ITS ROW TO docs/errors.md';
    t.ok(rows.includes(code), `${advice}: | \`${code}\` | when it comes | what to do | (it is in ${paths.join(', ')})`);
  }
  for (const code of rows) t.ok(places.has(code), `docs/errors.md explains ${code}, which nothing throws any more`);
});

t.test(
  'package-lock.json names no registry, and package.json allows the install scripts that npm ci runs',
  async (t) => {
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> };
    const resolved = Object.entries(packages).filter(([, locked]) => locked.resolved !== undefined);
    t.strictSame(resolved, [], 'npm install with the omit-lockfile-registry-resolved of .npmrc leaves them out');
    const { allowScripts, devDependencies } = JSON.parse(read('package.json'));
    const installing = Object.entries(packages).filter(([, locked]) => locked.hasInstallScript);
    // By name alone: npm takes a version from the URL that is left out, so the exact version stands with the dependency.
    t.strictSame(
      Object.keys(allowScripts),
      installing.map(([path]) => path.replace(/^.*node_modules\//, '')),
    );
    for (const name of Object.keys(allowScripts)) t.match(devDependencies[name], /^\d+\.\d+\.\d+$/, name);
  },
);

interface LockedPackage {
  readonly resolved?: string;
  readonly hasInstallScript?: boolean;
}

function importsOf(path: string): string[] {
  const pattern = /^\s*(?:import|export)\b[^'"]*?\bfrom '([^']+)'|^\s*import '([^']+)'|\bimport\('([^']+)'\)/gm;
  return [...read(path).matchAll(pattern)].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? '');
}

/** `path:line: text` of each line that matches. */
function matches(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    read(path)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
}

function layerOf(path: string): string {
  return path.split('/')[0] ?? '';
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** All files of the checkout by their paths from its root, sorted; not what is installed, built or kept by tools. */
function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(directory, entry.name);
      if (entry.name === 'node_modules' || entry.name === 'dist' || entry.name === 'coverage') return [];
      if (entry.name.startsWith('.') && entry.isDirectory() && !['.ci', '.github'].includes(entry.name)) return [];
      if (entry.name.startsWith('tap-testdir-')) return [];
      if (entry.isDirectory()) return filesBelow(path);
      return entry.isFile() ? [relative(root, path).split(sep).join('/')] : [];
    })
    .sort();
}
