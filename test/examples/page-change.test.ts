import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { until } from '../support/until.ts';
import { atTerminal, proposals, shell } from './terminal.ts';

const root = path.resolve(import.meta.dirname, '../..');

t.test('page changes come back to the broker with their text, once each, and go round no further', async (t) => {
  const data = mkdtempSync(path.join(tmpdir(), 'page-change-'));
  t.teardown(() => rmSync(data, { recursive: true, force: true }));
  const flags = ['--port', '0', '--admin-port', '0', '--service-port', '0', '--data', data, '--rate', '20'];
  const terminal = atTerminal(t, ['npm', 'run', 'page-change', '--', ...flags], { cwd: root });
  await terminal.see('Press Ctrl-C to end.', 60_000);
  t.match(terminal.output(), /^12 events accepted, 0 refused\. Lines printed: enrich \d+, show \d+\.$/m);

  const shown = (): string[] => terminal.linesOf('show').filter((line) => / by (Ada|Émile|Grace): /.test(line));
  await until(() => shown().length >= 9, 'every page change with a text is shown');
  const once = [
    "show      edit of Zürich (Cities in Switzerland) by Ada: '''Zürich''' is the largest city of [[Switzerland]].",
    "show      create of Post_horn (Brass instruments) by Émile: The '''post horn''' is a brass instrument without valves.",
    "show      edit of Ōsaka (Cities in Japan, Ports) by Ada: '''Ōsaka''' lies at the mouth of the [[Yodo River]].",
  ];
  t.strictSame(shown().sort(), [...once, ...once, ...once].sort(), 'each three times, for it was sent three times');
  t.equal(terminal.linesOf('enrich').filter((line) => line.includes('enriched ')).length, 9, 'none is enriched again');

  const [own = '', getTriggers = '', unknown = '', retries = '', ...others] = proposals(terminal);
  t.strictSame(others, [], 'four commands are proposed');
  t.match(await shell(own), /^HTTP\/1\.1 202 /);
  await until(() => shown().length === 10, 'the own page change is shown');
  t.match(await shell(getTriggers), /^page-content-change /m);
  t.match(await shell(unknown), /^HTTP\/1\.1 202 /);
  await terminal.see(/^posthorn +warn: attempt failed: page-change, status 503, tried again later$/m);
  const counted =
    /^posthorn_retries_total\{.*trigger="page-change"\} [1-9]\d*\n(posthorn_retry_backlog_records.* 1\n)?$/;
  await until(async () => counted.test(await shell(retries)), 'the retry is counted, and nothing else is shown');

  terminal.ctrlC();
  t.equal(await terminal.exited, 0);
  t.strictSame(terminal.leftovers(), [], 'no process is left');
});
