import { connect } from 'node:net';

/**
 * Posts as fast as it is answered, or at a steady rate, over plain sockets, in a process of its own: a load generator
 * that costs less than what it measures. A message starts it, and is answered at the first answer; the next one stops it
 * and is answered with a report.
 */
export interface PostOrder {
  readonly port: number;
  readonly connections: number;
  /** A whole request. */
  readonly request: Uint8Array;
  /** Requests a second over all connections; null: as many as are answered. */
  readonly perSecond: number | null;
}

export interface PostReport {
  readonly accepted: number;
  readonly refused: number;
  /** From when the request was due to its answer, in milliseconds. */
  readonly latencies: readonly number[];
  /** From the first answer to the last. */
  readonly tookMs: number;
  /** Of this process while it posted, in seconds. */
  readonly cpuSeconds: number;
}

const latencies: number[] = [];
let accepted = 0;
let refused = 0;
let isStopped = false;
let underWay = 0;
let firstAnswerMs = Number.NaN;
let lastAnswerMs = Number.NaN;
let onIdle = (): void => {};

function run({ port, connections, request, perSecond }: PostOrder): void {
  const free: ((dueMs: number) => void)[] = [];
  /** When requests are due that no connection was free for. */
  const late: number[] = [];
  const ready = (send: (dueMs: number) => void): void => {
    const dueMs = perSecond === null ? performance.now() : late.shift();
    if (dueMs === undefined || isStopped) free.push(send);
    else send(dueMs);
  };
  for (let i = 0; i < connections; i++) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let dueAtMs = 0;
    const send = (dueMs: number): void => {
      dueAtMs = dueMs;
      underWay++;
      socket.write(request);
    };
    socket.once('connect', () => ready(send));
    socket.on('data', (chunk) => {
      // Answers are short: each comes in one piece, and ends with its body.
      lastAnswerMs = performance.now();
      if (latencies.push(lastAnswerMs - dueAtMs) === 1) {
        firstAnswerMs = lastAnswerMs;
        process.send?.('answered');
      }
      if (chunk.toString('latin1', 9, 12) === '202') accepted++;
      else refused++;
      underWay--;
      if (isStopped && underWay === 0) onIdle();
      ready(send);
    });
    socket.on('error', (error) => {
      throw error;
    });
  }
  if (perSecond === null) return;
  const beganMs = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    if (isStopped) return clearInterval(timer);
    for (; beganMs + (1_000 * sent) / perSecond <= performance.now(); sent++) {
      const dueMs = beganMs + (1_000 * sent) / perSecond;
      const send = free.pop();
      if (send) send(dueMs);
      else late.push(dueMs);
    }
  }, 1);
}

process.once('message', (order: PostOrder) => {
  const before = process.cpuUsage();
  run(order);
  process.once('message', () => {
    isStopped = true;
    onIdle = () => {
      const { user, system } = process.cpuUsage(before);
      const tookMs = lastAnswerMs - firstAnswerMs;
      process.send?.({ accepted, refused, latencies, tookMs, cpuSeconds: (user + system) / 1e6 } satisfies PostReport);
    };
    if (underWay === 0) onIdle();
  });
});
process.on('disconnect', () => process.exit(0));
process.on('SIGINT', () => {});
