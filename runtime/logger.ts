import { writeSync } from 'node:fs';
import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino';
import { messageOf, PosthornError } from './errors.ts';
import { textLine } from './log-text.ts';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export const logFormats = ['auto', 'json', 'text'] as const;
export type LogFormat = (typeof logFormats)[number];

export interface LoggerOptions {
  readonly level?: LogLevel;
  /** `auto` is text where the lines go to a terminal, else JSON, one object a line. */
  readonly format?: LogFormat;
  /** Where the lines go: stdout unless a test says otherwise. */
  readonly output?: LogOutput;
}

/** A destination of whole lines; what it buffers, `flushSync` writes. */
export interface LogOutput extends DestinationStream {
  flushSync(): void;
  readonly isTTY?: boolean;
}

/**
 * Lines are gathered up to this many characters before they are written: one write a line costs ten times as much.
 * pino's own asynchronous mode lost 40 % of the lines at process exit, so the writes are synchronous.
 */
const gatheredCharactersMax = 16_000;

/** No line waits longer than this, so that a person who watches sees it come. */
const flushDelayMs = 100;

/** A pino logger on stdout, one JSON object a line, or one line of text each for a person at a terminal. */
export function createLogger({ level = 'info', format = 'auto', output }: LoggerOptions = {}): Logger {
  const out = output ?? standardOutput();
  const text = format === 'text' || (format === 'auto' && out.isTTY === true);
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError, error: describeError },
    },
    promptly(text ? asText(out) : out),
  );
}

/**
 * Ours, not pino's own: that one tries a write that fails again for ever, and holds the whole process meanwhile. Lines
 * that can't be written (whoever read them has gone, the disk of the log file is full) are dropped; deliveries go on.
 */
function standardOutput(): LogOutput {
  let gathered = '';
  const flushSync = (): void => {
    const bytes = Buffer.from(gathered);
    gathered = '';
    try {
      for (let written = 0, tries = 0; written < bytes.length; ) {
        const count = writeUnlessBusy(bytes.subarray(written));
        written += count;
        tries = count > 0 ? 0 : tries + 1;
        if (tries > busyTriesMax) return;
      }
    } catch {
      // There is nowhere left to say it.
    }
  };
  return {
    write(line) {
      gathered += line;
      if (gathered.length >= gatheredCharactersMax) flushSync();
    },
    flushSync,
    isTTY: process.stdout.isTTY === true,
  };
}

/** A reader of a pipe that is slower than the lines is waited for this often, 10 ms each time; then they are dropped. */
const busyTriesMax = 20;

function writeUnlessBusy(bytes: Buffer): number {
  try {
    return writeSync(1, bytes);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    return 0;
  }
}

function asText(output: LogOutput): LogOutput {
  return { write: (line) => output.write(textLine(line)), flushSync: () => output.flushSync() };
}

/** Writes what has gathered within `flushDelayMs` of its first line, and at the end of the process however it comes. */
function promptly(output: LogOutput): LogOutput {
  let timer: NodeJS.Timeout | undefined;
  const flushSync = (): void => {
    clearTimeout(timer);
    timer = undefined;
    process.off('exit', flushSync);
    output.flushSync();
  };
  return {
    write(line) {
      output.write(line);
      if (timer !== undefined) return;
      timer = setTimeout(flushSync, flushDelayMs);
      process.on('exit', flushSync);
    },
    // pino calls it after a fatal line.
    flushSync,
  };
}

/** An error that a user can mend is its code and words; any other is a bug and shows its stack. */
function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: messageOf(error) };
  const cause = error.cause === undefined ? {} : { cause: messageOf(error.cause) };
  if (error instanceof PosthornError) return { code: error.code, message: error.message, ...cause };
  return { type: error.name, message: error.message, stack: error.stack, ...cause };
}
