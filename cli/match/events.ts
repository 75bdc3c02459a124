import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { EventError } from '../../event/errors.ts';
import type { CloudEvent } from '../../event/event.ts';
import { decodeJson, decodeJsonBatch } from '../../event/json.ts';
import { isJson } from '../../event/json-slice.ts';
import { messageOf, PosthornError, UsageError } from '../../runtime/errors.ts';
import { fileProblem } from '../../runtime/file-problem.ts';
import type { Invocation } from '../command.ts';
import { textOption } from '../options.ts';
import { linesOf } from '../send/lines.ts';
import { jsonProblem, withoutMark } from '../send/sources.ts';
import { dataOf, dataOption, eventOf, templateOf, templateOptions } from '../send/template.ts';

/** Nobody reads the reasons of more, and `posthorn try` counts. */
const eventsMax = 100;

const wanted = 'a CloudEvent as JSON, as a whole or one on each line';

/**
 * The events that the command line gives: a file (a CloudEvent as JSON, a batch of them, or one on each line, as `send`
 * takes it), standard input, or flags as those of `send`.
 * @throws UsageError, PosthornError where the file has none or can't be read
 */
export async function givenEvents({ positionals, options, stdin }: Invocation): Promise<CloudEvent[]> {
  const [file, ...more] = positionals;
  if (more.length > 0) throw new UsageError(`match takes one file of events, but got ${positionals.join(' ')}`);
  const flag = [...templateOptions, dataOption].find(({ name }) => options[name] !== undefined);
  if (file === undefined) {
    const template = templateOf(options);
    if (template.type === undefined) {
      throw new UsageError('which event? Name a file with it, - for standard input, or say --type and --data');
    }
    return [eventOf(template, await dataOf(textOption(options, 'data'), stdin))];
  }
  if (flag !== undefined) {
    throw new UsageError(
      `--${flag.name} makes an event, and ${file} has one already; if it is the data of an event, write --data @${file}`,
    );
  }
  const name = file === '-' ? 'standard input' : file;
  return eventsOf(withoutMark(await read(file, stdin)), name);
}

async function read(file: string, stdin: NodeJS.ReadableStream): Promise<Buffer> {
  if (file === '-') return buffer(stdin);
  return readFile(file).catch((error: unknown) => {
    throw new PosthornError('UNREADABLE', `${file} can't be read: ${fileProblem(error, 'file')}`, { cause: error });
  });
}

async function eventsOf(bytes: Buffer, name: string): Promise<CloudEvent[]> {
  if (bytes.toString('latin1').trim() === '')
    throw new PosthornError('NO_EVENT', `${name} is empty; it is to be ${wanted}`);
  if (!isJson(bytes)) return linesOfEvents(bytes, name);
  try {
    const events = bytes.toString('latin1').trimStart().startsWith('[') ? decodeJsonBatch(bytes) : [decodeJson(bytes)];
    return checkCount(events, name);
  } catch (error) {
    throw noEvent(name, bytes, error);
  }
}

async function linesOfEvents(bytes: Buffer, name: string): Promise<CloudEvent[]> {
  const events: CloudEvent[] = [];
  for await (const { number, bytes: line } of linesOf(Readable.from([bytes]), bytes.length)) {
    if (line === null || line.toString('latin1').trim() === '') continue;
    // Where not even the first line is JSON, the file is no list of lines but broken JSON as a whole.
    if (events.length === 0 && !isJson(line)) {
      throw new PosthornError('NO_EVENT', `${name} is ${jsonProblem(bytes)}; it is to be ${wanted}`);
    }
    try {
      events.push(decodeJson(line));
    } catch (error) {
      throw noEvent(`line ${number} of ${name}`, line, error);
    }
  }
  return checkCount(events, name);
}

function checkCount(events: CloudEvent[], name: string): CloudEvent[] {
  if (events.length === 0) throw new PosthornError('NO_EVENT', `${name} has no event; it is to be ${wanted}`);
  if (events.length <= eventsMax) return events;
  const advice = 'posthorn try counts what a trigger matches among many';
  throw new PosthornError(
    'NO_EVENT',
    `${name} has ${events.length} events, at most ${eventsMax} are explained; ${advice}`,
  );
}

function noEvent(name: string, bytes: Buffer, error: unknown): PosthornError {
  if (!(error instanceof EventError)) throw error;
  const problem = isPayload(bytes)
    ? `${name} is JSON, but no CloudEvent: it has no specversion; if it is the data of an event, say what event: --type TYPE --data @FILE`
    : `${name} is no CloudEvent: ${messageOf(error)}`;
  return new PosthornError('NO_EVENT', problem, { cause: error });
}

/** Whether it is JSON that has nothing of a CloudEvent. */
function isPayload(json: Buffer): boolean {
  if (!isJson(json)) return false;
  const value: unknown = JSON.parse(json.toString());
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !('specversion' in value);
}
