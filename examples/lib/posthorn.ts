import { appendFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ExampleError } from './options.ts';
import type { ProcessSpec } from './processes.ts';

const bin = path.resolve(import.meta.dirname, '../../bin/posthorn.js');

const readyTimeoutMs = 60_000;

/** Less than `Processes` waits before it kills. */
const shutdownTimeout = '10s';

export interface PosthornSettings {
  readonly port: number;
  readonly adminPort: number;
  /** Folder of trigger files. */
  readonly triggers: string;
  /** Folder of the embedded log. */
  readonly data: string;
  /** File that all log lines are appended to. */
  readonly logFile: string;
  /** The flags that are the example's own. */
  readonly more: readonly string[];
}

/**
 * `posthorn serve` on the embedded log. Its log lines go to the file; what a user must see (warnings, errors, words
 * that are no log line) goes to `show` as well.
 */
export function posthornProcess(
  { port, adminPort, triggers, data, logFile, more }: PosthornSettings,
  show: (line: string) => void,
): Omit<ProcessSpec, 'onEnd'> {
  const ports = ['--port', String(port), '--admin-port', String(adminPort)];
  const rest = ['--triggers', triggers, '--data', data, '--shutdown-timeout', shutdownTimeout];
  // The flags say all; a POSTHORN_KAFKA meant for something else must not come in.
  const env = Object.entries(process.env).filter(([name]) => !name.startsWith('POSTHORN_'));
  return {
    command: process.execPath,
    args: [bin, 'serve', '--log', 'embedded', ...ports, ...rest, ...more],
    env: Object.fromEntries(env),
    stopSignal: 'SIGTERM',
    onLine(line) {
      appendFileSync(logFile, `${line}\n`);
      const text = textToShow(line);
      if (text !== null) show(text);
    },
  };
}

/** What becomes of a delivery after a failed attempt, in words. */
const fates: Readonly<Record<string, string>> = { retry: 'tried again later', deadLetter: 'now a dead letter' };

/** A line for a person, as `warn: attempt failed: pushes, status 503, tried again later`; null for one of no concern. */
function textToShow(line: string): string | null {
  try {
    const { level, msg, trigger, reason, fate } = JSON.parse(line) as Record<string, unknown>;
    if (level !== 'warn' && level !== 'error' && level !== 'fatal') return null;
    const details = [trigger, reason, fates[String(fate)]].filter((part) => typeof part === 'string').join(', ');
    return [level, msg, details].filter((part) => typeof part === 'string' && part !== '').join(': ');
  } catch {
    return line;
  }
}

/** @param admin the admin port's URL */
export async function waitUntilReady(admin: string, signal: AbortSignal): Promise<void> {
  const deadlineMs = performance.now() + readyTimeoutMs;
  while (!(await isReady(admin))) {
    if (performance.now() > deadlineMs) throw new ExampleError(`Posthorn is not ready: see ${admin}/readyz`);
    await delay(50, undefined, { signal });
  }
}

async function isReady(admin: string): Promise<boolean> {
  try {
    const response = await fetch(`${admin}/readyz`);
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}
