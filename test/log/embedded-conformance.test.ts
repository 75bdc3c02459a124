import { pino } from 'pino';
import t from 'tap';
import { openEmbeddedLog } from '../../broker/log/embedded/embedded-log.ts';
import type { Log } from '../../broker/log/log.ts';
import { conformance } from './conformance.ts';

const logger = pino({ level: 'silent' });

await conformance(t, 'embedded', async () => {
  const directory = t.testdir();
  const open = (): Promise<Log> => openEmbeddedLog({ directory, logger, reserveBytes: 65_536 });
  let log = await open();
  return {
    log,
    async reopen() {
      await log.close();
      log = await open();
      return log;
    },
    close: () => log.close(),
  };
});
