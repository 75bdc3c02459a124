import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { Readable } from 'node:stream';
import { encodeBinary } from '../../event/http.ts';
import { checkJson, JsonError } from '../../event/json-slice.ts';
import { isJsonType } from '../../event/media-type.ts';
import { messageOf, PosthornError, UsageError } from '../../runtime/errors.ts';
import { type Line, linesOf } from './lines.ts';
import type { Outgoing } from './post.ts';
import { eventOf, type Template } from './template.ts';

/** Events to send, one at a time. */
export interface Source {
  /** What could not even be sent comes as its reason. */
  readonly events: AsyncIterable<Outgoing | Unsendable>;
  /** How much of it has been handed out, 0 to 1; null where the end is not known. */
  done(): number | null;
  /** How many events it has in all, those that are handed out included; null where the end is not known. */
  total(): Promise<number | null>;
  /** Lets go of the input, also while it is waited for: then the events end. Idempotent. */
  close(): void;
}

export interface Unsendable {
  readonly where: string;
  readonly problem: string;
}

/** No server takes a larger event. */
const lineMaxBytes = 64 * 1_048_576;

/** A file up to this size is read once more to count its events, which takes half a second. */
const countedMaxBytes = 64 * 1_048_576;

/** The same event `count` times, each with an id of its own. */
export function repeated(template: Template, data: Buffer | undefined, count: number): Source {
  let handedOut = 0;
  return {
    done: () => (count === 1 ? null : handedOut / count),
    total: async () => count,
    close() {},
    events: (async function* () {
      for (; handedOut < count; handedOut++) yield outgoing(`event ${handedOut + 1}`, template, data);
    })(),
  };
}

/** A file, or standard input, with a CloudEvent as JSON on each line; each goes out as it stands. */
export async function lines(file: string, stdin: NodeJS.ReadableStream): Promise<Source> {
  const about = file === '-' ? null : await stat(file).catch(unreadable);
  if (about?.isDirectory()) throw new UsageError(`--file: ${file} is a directory; --dir sends one`);
  const input = file === '-' ? asReadable(stdin) : createReadStream(file);
  let position = 0;
  return {
    // A pipe has no size.
    done: () => (about?.size ? Math.min(1, position / about.size) : null),
    total: async () => (about?.isFile() && about.size <= countedMaxBytes ? countLines(file) : null),
    close: () => void input.destroy(),
    events: (async function* () {
      try {
        for await (const line of linesOf(input, lineMaxBytes)) {
          position = line.position;
          const event = outgoingLine(line);
          if (event !== null) yield event;
        }
      } catch (error) {
        if (!input.destroyed || !isSystemError(error)) throw error;
        if (error.code !== 'ERR_STREAM_PREMATURE_CLOSE') throw new PosthornError('SEND_INPUT', messageOf(error));
      }
    })(),
  };
}

function asReadable(stream: NodeJS.ReadableStream): Readable {
  return stream instanceof Readable ? stream : Readable.from(stream);
}

async function countLines(file: string): Promise<number> {
  let count = 0;
  for await (const { bytes } of linesOf(createReadStream(file), lineMaxBytes)) if (!isBlank(bytes)) count += 1;
  return count;
}

function outgoingLine({ number, bytes }: Line): Outgoing | Unsendable | null {
  const where = `line ${number}`;
  if (bytes === null) return { where, problem: `the line is longer than ${lineMaxBytes} bytes` };
  if (isBlank(bytes)) return null;
  const body = number === 1 ? withoutMark(bytes) : bytes;
  return { where, headers: ['content-type', 'application/cloudevents+json; charset=utf-8'], body };
}

function isBlank(bytes: Buffer | null): boolean {
  return bytes?.every((byte) => byte === 0x20 || byte === 0x09) ?? false;
}

/**
 * Every `.json` file below a directory is the data of one event, in order of path. Without `--type` the path gives it:
 * `orders/created.json` is of type `orders.created`. The path is also the subject, unless the flags name one.
 */
export async function payloads(directory: string, template: Template): Promise<Source> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(unreadable);
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.json'))
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)))
    .sort();
  if (paths.length === 0) throw new UsageError(`--dir: there is no .json file in ${directory}`);
  // Another content type means that the files are not what their names say.
  const isJsonWanted = isJsonType(template.contentType);
  let handedOut = 0;
  return {
    done: () => handedOut / paths.length,
    total: async () => paths.length,
    close() {},
    events: (async function* () {
      for (const path of paths) {
        const slashed = path.split(sep).join('/');
        const type = template.type ?? slashed.replace(/\.json$/, '').replaceAll('/', '.');
        const named = { ...template, type, subject: template.subject ?? slashed };
        try {
          const bytes = await readFile(join(directory, path));
          const data = isJsonWanted ? withoutMark(bytes) : bytes;
          const problem = isJsonWanted ? jsonProblem(data) : null;
          yield problem === null ? outgoing(slashed, named, data) : { where: slashed, problem };
        } catch (error) {
          if (!(error instanceof PosthornError) && !isSystemError(error)) throw error;
          yield { where: slashed, problem: messageOf(error) };
        }
        handedOut += 1;
      }
    })(),
  };
}

/** What keeps the data from being JSON, or null. */
export function jsonProblem(data: Buffer): string | null {
  if (data.length === 0) return 'the file is empty, which is not JSON';
  try {
    checkJson(data);
    return null;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const place = error.at === null ? '' : ` at ${placeOf(data.subarray(0, error.at))}`;
    return `not JSON${place}: ${error.message}`;
  }
}

/** The line and column, from 1, that come after the text. */
function placeOf(before: Buffer): string {
  const lines = before.toString().split('\n');
  return `${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`;
}

/** @throws EventError */
function outgoing(where: string, template: Template, data: Buffer | undefined): Outgoing {
  return { where, ...encodeBinary(eventOf(template, data)) };
}

/** Windows editors begin a file with the byte order mark, which is no JSON. */
export function withoutMark(bytes: Buffer): Buffer {
  return bytes.subarray(0, 3).equals(byteOrderMark) ? bytes.subarray(3) : bytes;
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

function unreadable(error: unknown): never {
  throw new UsageError(messageOf(error), { cause: error });
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error;
}
