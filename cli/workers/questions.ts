import type { Permission } from '../../broker/ingress/handshake.ts';
import type { MetricObject } from './sum.ts';

/** What the first process asks a worker. */
export type ToWorker = {
  /** The first question. The port on which events are accepted together; null: none are. Answered once it runs. */
  readonly start: { readonly ask: { readonly port: number | null }; readonly answer: undefined };
  /** Why it would not accept or deliver now; empty when it would. */
  readonly readiness: { readonly ask: undefined; readonly answer: readonly string[] };
  readonly metrics: { readonly ask: undefined; readonly answer: readonly MetricObject[] };
  readonly permission: Granting;
};

/** What a worker asks the first process. */
export type ToFirst = { readonly permission: Granting };

/** A subscriber has called one process with a key that another may wait for. */
interface Granting {
  readonly ask: { readonly key: string; readonly rate: string | null };
  readonly answer: Permission;
}
