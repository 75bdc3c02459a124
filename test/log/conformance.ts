import type { Test } from 'tap';
import { appendCases } from './conformance/append.ts';
import { commitCases } from './conformance/commit.ts';
import { consumeCases } from './conformance/consume.ts';
import { groupCases } from './conformance/group.ts';
import { type Case, type OpenLog, patienceMs } from './conformance/harness.ts';
import { readCases } from './conformance/read.ts';
import { topicCases } from './conformance/topic.ts';

export type { OpenLog } from './conformance/harness.ts';

/**
 * What broker/log/log.ts says, held against a driver. Each case opens a log of its own and uses topics and groups of
 * names that no other case has, so a driver may give all of them the same storage.
 *
 * @param open opens the log; `reopen` closes it and opens another on the same storage; `close` closes whichever is open
 */
export async function conformance(t: Test, name: string, open: () => Promise<OpenLog>): Promise<void> {
  const cases: Record<string, Case> = {
    ...topicCases,
    ...appendCases,
    ...readCases,
    ...consumeCases,
    ...commitCases,
    ...groupCases,
  };
  t.setTimeout(Object.keys(cases).length * patienceMs);
  await t.test(`the ${name} log`, { timeout: Object.keys(cases).length * patienceMs }, async (t) => {
    for (const [behaviour, run] of Object.entries(cases)) {
      await t.test(behaviour, { timeout: 3 * patienceMs }, async (t) => {
        const opened = await open();
        t.teardown(() => opened.close());
        await run(t, opened);
      });
    }
  });
}
