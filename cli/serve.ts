import { serveConfig, serveOptions } from '../runtime/config-serve.ts';
import { UsageError } from '../runtime/errors.ts';
import { onStopSignals } from '../runtime/lifecycle.ts';
import { createLogger } from '../runtime/logger.ts';
import { type Command, exitCodes } from './command.ts';
import { servePosthorn } from './serving.ts';

/** Runs Posthorn: accepts events, delivers them, or both. */
export const serve: Command = {
  name: 'serve',
  summary: 'Run Posthorn: accept events and deliver them',
  usage: '[--triggers DIR] [--kafka HOST:PORT,…] [options]',
  options: serveOptions,
  examples: [
    { command: 'posthorn serve --triggers ./triggers', does: 'on the embedded log, in ./.posthorn' },
    { command: 'posthorn serve --kafka kafka-1:9092,kafka-2:9092 --triggers ./triggers', does: 'on Kafka' },
    { command: 'POSTHORN_PORT=80 posthorn serve --roles ingress --kafka kafka:9092', does: 'only accepts events' },
  ],
  async run({ options, positionals, env }) {
    const [extra] = positionals;
    if (extra !== undefined)
      throw new UsageError(`serve takes no ${extra}; a directory of triggers: --triggers ${extra}`);
    const config = await serveConfig(options, env);
    const logger = createLogger({ level: config.logLevel, format: config.logFormat });
    const shutdown = onStopSignals();
    try {
      await servePosthorn({ config, logger, stop: shutdown.signal, args: process.argv.slice(3) });
    } finally {
      shutdown.dispose();
    }
    return exitCodes.ok;
  },
};
