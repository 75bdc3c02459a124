import { spawnSync } from 'node:child_process';
import t from 'tap';
import { chartOf } from '../../bench/report/chart.ts';
import { LineReport } from '../../bench/report/report.ts';
import { runReport } from '../../bench/report/run-report.ts';

function reported(isJudged = true) {
  const printed: string[] = [];
  return { printed, report: new LineReport('line', { print: (text) => printed.push(text), isJudged }) };
}

const run = {
  began: new Date(0),
  command: "npm run bench -- --peer 'a < b & c'",
  rounds: 3,
  isQuick: false,
  kafka: null,
};

t.test('a table is printed with its digits, and kept as it was measured', async (t) => {
  const { printed, report } = reported();
  report.table([{ name: '' }, { name: 'rate' }, { name: 'ms', digits: 2 }], [['one', 1234.5678, 1 / 3]]);
  t.strictSame(printed, ['|  | rate | ms |', '|---|---|---|', '| one | 1235 | 0.33 |']);
  const [line] = runReport([report], run).lines;
  t.strictSame(line?.tables, [{ headings: ['', 'rate', 'ms'], rows: [['one', 1234.5678, 1 / 3]] }]);
  t.strictSame(line?.faults, []);
});

t.test('a target is met up to its limit, below it, or from it on', async (t) => {
  const { printed, report } = reported();
  report.target('a', 2, { atMost: 2 });
  report.target('b', 2, { atLeast: 2 });
  t.ok(report.isMet);
  report.target('c', 2.04, { below: 2 }, { digits: 1 });
  t.notOk(report.isMet);
  t.strictSame(printed, ['met: a: 2 (at most 2)', 'met: b: 2 (at least 2)', 'MISSED: c: 2.0 (below 2.0)']);
  t.match(runReport([report], run).lines[0]?.targets, [
    { what: 'a', value: 2, bound: 'at most', limit: 2, met: true },
    { what: 'b', value: 2, bound: 'at least', limit: 2, met: true },
    { what: 'c', value: 2.04, bound: 'below', limit: 2, met: false },
  ]);
});

t.test('tiny sizes are not judged', async (t) => {
  const { printed, report } = reported(false);
  report.target('a', 3, { atMost: 2 });
  t.strictSame(printed, ['not judged: a: 3 (at most 2)']);
});

t.test('a line without figures, or with one that is none, has not done its work', async (t) => {
  t.strictSame(reported().report.faults, ['it has no figures']);
  const { report } = reported();
  report.table([{ name: '' }, { name: 'ms' }], [['one', Number.NaN]]);
  report.target('a', Number.POSITIVE_INFINITY, { atLeast: 1 });
  t.strictSame(report.faults, ['one has no figure for "ms"', 'there is no figure for "a"']);
});

t.test('the chart is well-formed, of itself alone, with a bar a row and a mark where a target lies', async (t) => {
  const { report } = reported();
  report.table(
    [
      { name: '' },
      { name: 'events/s', isName: true },
      { name: 'p50 <ms>', digits: 1, isCharted: true },
      { name: 'no bar' },
    ],
    [
      ['"Kafka" & co', 200, 4, 1],
      ['embedded', 200, 1, 1],
      ['none', 200, Number.NaN, 1],
    ],
  );
  report.target('p50', 4, { below: 2 }, { marks: [{ column: 'p50 <ms>', row: '"Kafka" & co, 200', at: 2 }] });
  const svg = chartOf([report], runReport([report], run));
  const parsed = spawnSync(
    'python3',
    ['-c', 'import sys, xml.dom.minidom as m; m.parseString(sys.stdin.buffer.read())'],
    {
      input: svg,
      encoding: 'utf8',
    },
  );
  t.equal(parsed.status, 0, parsed.stderr);
  t.notMatch(svg.replace('http://www.w3.org/2000/svg', ''), /http|<script|NaN|Infinity/);
  const widths = [...svg.matchAll(/class="bar"[^>]* width="([\d.]+)"/g)].map(([, width]) => Number(width));
  t.equal(widths.length, 2, 'no bar where there is no figure');
  t.equal(widths[0], 4 * (widths[1] ?? 0), 'bars are as long as their figures are large');
  const marks = [...svg.matchAll(/class="aim"[^>]* transform="translate\(([\d.]+)\)"/g)].map(([, at]) => Number(at));
  t.strictSame(marks, [(widths[0] ?? 0) / 2]);
  t.match(svg, 'prefers-color-scheme: dark');
});
