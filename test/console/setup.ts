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
  /** Closes the port. */
  close(): Promise<void>;
}

/**
 * The admin port over an embedded log of its own.
 * @param around puts something between that log and the port
 */
export async function serveAdmin(t: Test, around: (log: Log) => Log = (log) => log): Promise<Served> {
  const log = await openLog(t);
  const brokers = await startBrokers(t, log);
  const readiness: Readiness = { ready: true, reasons: [] };
  const served = { log, brokers, url: '', readiness, close: async () => {} };
  const metrics = createMetrics().registry;
  const ready = (): Readiness => served.readiness;
  const admin = createAdmin({ brokers, log: around(log), metrics, ready, token: null, logger: silent });
  served.close = () => admin.close();
  t.teardown(served.close);
  const { port } = await admin.listen({ host: '127.0.0.1', port: 0 });
  served.url = `http://127.0.0.1:${port}`;
  return served;
}
