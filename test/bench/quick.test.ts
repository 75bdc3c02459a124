import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { measureBacklog } from '../../bench/lib/backlog.ts';
import { peer } from '../../bench/lib/contestant.ts';
import { lines } from '../../bench/lines.ts';
import type { RunReport } from '../../bench/report/run-report.ts';
import { guard } from '../support/kafka/guardian.ts';
import { kafkaBrokers } from '../support/kafka.ts';

const bench = fileURLToPath(new URL('../../bench/run.ts', import.meta.url));

async function runBench(
  settings: { readonly KAFKA_BROKERS?: string },
  ...args: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const env = { ...process.env, KAFKA_BROKERS: (await kafkaBrokers()).join(), ...settings };
  // Without the modules that tap loads into every process.
  const child = spawn(process.execPath, [bench, ...args], { env: { ...env, NODE_OPTIONS: '' }, stdio: 'pipe' });
  // A test that is killed, as for taking too long, leaves it otherwise.
  child.once('exit', guard(`process ${child.pid}`));
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code, stdout, stderr };
}

t.test('each line of the benchmark does its work, in a table, as JSON and in a chart', async (t) => {
  const directory = t.testdir();
  const [json, chart] = [join(directory, 'bench.json'), join(directory, 'bench.svg')];
  const { code, stdout, stderr } = await runBench({}, '--quick', '--json', json, '--chart', chart);
  t.equal(code, 0, `${stdout}\n${stderr}`);

  const run = JSON.parse(await readFile(json, 'utf8')) as RunReport;
  const { machine, lines: reports, rounds, command } = run;
  t.strictSame([machine.node, rounds, command.startsWith('npm run bench -- --quick')], [process.version, 1, true]);
  t.ok(machine.cpus > 0 && machine.memoryMiB > 0 && machine.kernel !== '');
  t.strictSame(
    reports.map(({ name }) => name),
    Object.keys(lines),
  );
  for (const { name, tables, targets } of reports) {
    t.ok(targets.length > 0 || name === 'triggers', `${name} has targets`);
    t.ok(
      targets.every(({ value, limit }) => Number.isFinite(value) && Number.isFinite(limit)),
      `${name} has a figure for each`,
    );
    const cells = tables.flatMap(({ rows }) => rows.flatMap(([, ...figures]) => figures));
    t.ok(cells.some((cell) => typeof cell === 'number') && cells.every((cell) => cell !== null), `${name} has figures`);
    const printed = stdout.split(`\n## ${name}\n`)[1]?.split('\n## ')[0] ?? '';
    const headings = tables[0]?.headings ?? [];
    t.match(printed, `| ${headings.join(' | ')} |\n`, `${name} has printed its table`);
    t.notMatch(printed, /NaN|Infinity|FAILED|MISSED/);
  }

  const svg = await readFile(chart, 'utf8');
  const xml = ['-c', 'import sys, xml.dom.minidom as m; m.parseString(sys.stdin.buffer.read())'];
  t.equal(spawnSync('python3', xml, { input: svg }).status, 0, 'the chart is well-formed');
  for (const name of Object.keys(lines)) t.match(svg, `>${name}</text>`);
});

t.test('a line that can not do its work is told, and the run fails', async (t) => {
  const { code, stdout } = await runBench({ KAFKA_BROKERS: 'nowhere' }, 'ingest', '--quick');
  t.equal(code, 2, stdout);
  t.match(stdout, /FAILED: posthorn serve ended: .*nowhere/);
});

t.test('what ends before it has delivered all is not measured', async (t) => {
  const measured = measureBacklog((await kafkaBrokers()).join(), peer('sh -c "exit 3"'), { events: 10 });
  await t.rejects(measured, { message: 'peer has ended before it had delivered all' });
});

t.test('an unknown line is told with those that there are', async (t) => {
  const { code, stderr } = await runBench({}, 'dispach');
  t.equal(code, 2);
  t.match(stderr, 'no line dispach; there are dispatch, workers, ordered');
});
