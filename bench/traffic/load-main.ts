import { Agent, request } from 'undici';

/**
 * Sends events to an ingress at a steady rate, in a process of its own, until its parent says stop or is gone. An event
 * that is not accepted is counted, not sent again.
 */
export interface LoadOrder {
  readonly url: string;
  readonly perSecond: number;
  /** The types in turn: `com.example.bench.N`. */
  readonly types: number;
}

export interface LoadReport {
  readonly accepted: number;
  readonly refused: number;
  /** Of this process while it sent, in seconds. */
  readonly cpuSeconds: number;
}

/** Events are sent this far apart, in milliseconds, in bursts where that is not often enough. */
const burstMs = 1;
/** A sender at a steady rate keeps its connections: undici's 4 s would have it close many at once. */
const keepAliveTimeout = 60_000;
const payload = Buffer.alloc(800, 'x');

process.once('message', ({ url, perSecond, types }: LoadOrder) => {
  const agent = new Agent({ connections: 256, keepAliveTimeout });
  const beganMs = performance.now();
  const before = process.cpuUsage();
  let sent = 0;
  let accepted = 0;
  let refused = 0;
  const under = new Set<Promise<void>>();

  const send = async (n: number): Promise<void> => {
    const headers = {
      'ce-specversion': '1.0',
      'ce-id': String(n),
      'ce-source': '/bench/load',
      'ce-type': `com.example.bench.${n % types}`,
      'ce-sentms': String(performance.timeOrigin + performance.now()),
      'content-type': 'application/octet-stream',
    };
    try {
      const answer = await request(url, { dispatcher: agent, method: 'POST', headers, body: payload });
      await answer.body.dump();
      if (answer.statusCode === 202) accepted++;
      else refused++;
    } catch {
      refused++;
    }
  };

  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - beganMs) * perSecond) / 1_000);
    while (sent < due) {
      const sending: Promise<void> = send(sent++).finally(() => under.delete(sending));
      under.add(sending);
    }
  }, burstMs);

  process.once('message', () => {
    clearInterval(timer);
    void Promise.all(under).then(async () => {
      await agent.destroy();
      const { user, system } = process.cpuUsage(before);
      process.send?.({ accepted, refused, cpuSeconds: (user + system) / 1e6 } satisfies LoadReport);
    });
  });
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
