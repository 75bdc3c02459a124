import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { LoadOrder, LoadReport } from './load-main.ts';

/** A steady load on an ingress, from a process of its own. */
export interface Load {
  /** Stops sending, waits for the answers, and ends the process. */
  stop(): Promise<LoadReport>;
}

export function startLoad(order: LoadOrder): Load {
  const child = fork(new URL('./load-main.ts', import.meta.url));
  child.send(order);
  return {
    async stop() {
      const reply = once(child, 'message');
      child.send('stop');
      const [report] = (await reply) as [LoadReport];
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
      return report;
    },
  };
}
