import t from 'tap';
import { TapReport } from './tap-report.ts';

function report(text: string): { counts: { passed: number; failed: number }; printed: string[] } {
  const report = new TapReport();
  const printed = text.split('\n').flatMap((line) => report.line(line));
  return { counts: report.counts, printed };
}

t.test('the tests of a file are counted, not their asserts, and it takes a line and its comments', async (t) => {
  const { counts, printed } = report(`TAP version 14
# Subtest: test/a.test.ts
    # Subtest: one holds
        ok 1 - should be equal
        ok 2 - should be equal
        # seed 7
        1..2
        # time=2ms
    ok 1 - one holds # time=5.918ms
    ok 2 - two holds # time=1ms
    ok 3 - three is not for here # SKIP x
    1..3
ok 1 - test/a.test.ts # time=31.11ms
1..1`);
  t.same(counts, { passed: 2, failed: 0 });
  t.same(printed, ['passed test/a.test.ts # time=31.11ms', '        # seed 7']);
});

t.test('a failed test is counted and all of its file is printed, reports that look like TAP not counted', async (t) => {
  const { counts, printed } = report(`# Subtest: test/a.test.ts
    ok 1 - one holds
    not ok 2 - two fails
      ---
      source: |
    ok 3 - quoted
    not ok 4 - quoted
      ...
    1..2
not ok 1 - test/a.test.ts
  ---
  exitCode: 1
  ...
# time=1ms`);
  t.same(counts, { passed: 1, failed: 1 });
  t.ok(printed.includes('    not ok 2 - two fails'));
  t.ok(printed.includes('FAILED test/a.test.ts'));
  t.equal(printed.at(-1), '  ...');
});

t.test('a file that crashes counts as one failed', async (t) => {
  const { counts } = report(`# Subtest: test/a.test.ts
    1..0 # no tests found
not ok 1 - test/a.test.ts
  ---
  exitCode: 1
  ...
# Subtest: test/b.test.ts
    ok 1 - one holds
    1..1
not ok 2 - test/b.test.ts`);
  t.same(counts, { passed: 1, failed: 2 });
});
