import type { Test } from 'tap';
import type { Brokers } from '../../broker/brokers.ts';
import type { Log } from '../../broker/log/log.ts';
import { createAdmin, type Readiness } from '../../console/admin.ts';
import { createMetrics } from '../../runtime/metrics.ts';
import { openLog, silent, startBrokers } from '../registry/setup.ts';

export interface Served {
  readonly log: Log;
  readonly brokers: Brokers;
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readiness: Readiness;
}

/** The admin port over an embedded log of its own. */
export async function serveAdmin(t: Test): Promise<Served> {
  const log = await openLog(t);
  const brokers = await startBrokers(t, log);
  const served = { log, brokers, url: '', readiness: { ready: true, reasons: [] } as Readiness };
  const metrics = createMetrics().registry;
  const admin = createAdmin({ brokers, log, metrics, ready: () => served.readiness, token: null, logger: silent });
  t.teardown(() => admin.close());
  const { port } = await admin.listen({ host: '127.0.0.1', port: 0 });
  served.url = `http://127.0.0.1:${port}`;
  return served;
}
