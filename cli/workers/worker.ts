import { aborted } from '../../runtime/abort.ts';
import { serveConfig, serveOptions } from '../../runtime/config-serve.ts';
import { createLogger } from '../../runtime/logger.ts';
import { parseOptions } from '../options.ts';
import { type RunningPosthorn, servePosthorn } from '../serving.ts';
import { Channel } from './channel.ts';
import { workerVariable } from './pool.ts';
import type { ToFirst, ToWorker } from './questions.ts';
import { readMetrics } from './sum.ts';

/** One of the processes of `posthorn serve --workers N` besides the first, which has started it. */

// At Ctrl-C the terminal tells all of them, and the first one tells its workers.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
const stopping = new AbortController();
const stop = stopping.signal;
// The first one disconnects to say that it ends, and does so too when it is killed.
for (const end of ['SIGTERM', 'disconnect'] as const) process.on(end, () => stopping.abort('SIGTERM'));

const port = Promise.withResolvers<number | null>();
const posthorn = Promise.withResolvers<RunningPosthorn>();
let running: RunningPosthorn | null = null;
const first = new Channel<ToFirst, ToWorker>(process, {
  async start(ask) {
    port.resolve(ask.port);
    running = await posthorn.promise;
    return undefined;
  },
  readiness: () => running?.ready().reasons ?? ['Posthorn is starting'],
  metrics: () => (running === null ? [] : readMetrics(running.metrics)),
  permission: ({ key, rate }) => running?.called(key, rate) ?? 'unknown',
});

const args = process.argv.slice(2);
const config = await serveConfig(parseOptions(serveOptions, args).options, process.env);
const logger = createLogger({ level: config.logLevel, format: config.logFormat }).child({
  worker: Number(process.env[workerVariable]),
});
try {
  const given = await Promise.race([port.promise, aborted(stop)]);
  if (given !== undefined) {
    const worker = {
      port: given,
      permission: (key: string, rate: string | null) =>
        first.ask('permission', { key, rate }).catch(() => 'unknown' as const),
      running: posthorn.resolve,
    };
    await servePosthorn({ config, logger, stop, args, worker });
  }
} catch (err) {
  logger.fatal({ err }, 'a worker has failed');
  process.exitCode = 1;
}
if (process.connected) process.disconnect();
