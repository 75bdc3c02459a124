import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { type CloudEvent, newAttributes } from '../../event/event.ts';
import { isJson } from '../../event/json-slice.ts';
import { checkAttributes } from '../../event/validate.ts';
import { messageOf, UsageError } from '../../runtime/errors.ts';
import type { Option } from '../command.ts';
import { type GivenOptions, listOption, textOption } from '../options.ts';

/** An event from flags: what `send` sends and `match` explains. */

/** The attributes that the flags give; what is absent has a default. */
export interface Template {
  readonly type: string | undefined;
  readonly source: string | undefined;
  readonly id: string | undefined;
  readonly subject: string | undefined;
  readonly time: string | undefined;
  readonly contentType: string | undefined;
  readonly extensions: ReadonlyMap<string, string>;
}

const defaultSource = '/posthorn/send';

export const templateOptions: readonly Option[] = [
  { name: 'type', value: 'TYPE', help: 'Type of the event, as com.example.order.created' },
  { name: 'source', value: 'URI', help: `Source of the event (default ${defaultSource})` },
  { name: 'id', value: 'ID', help: 'Id of the event (default a new UUID)' },
  { name: 'subject', value: 'TEXT', help: 'Subject of the event' },
  { name: 'time', value: 'TIME', help: 'Time of the event, RFC 3339 (default now)' },
  { name: 'extension', short: 'e', value: 'NAME=VALUE', multiple: true, help: 'Any other attribute' },
  {
    name: 'content-type',
    value: 'TYPE',
    help: 'Media type of the data (default application/json where it is JSON, else text/plain or application/octet-stream)',
  },
];

export const dataOption: Option = {
  name: 'data',
  short: 'd',
  value: 'DATA',
  help: 'The data; @FILE reads it from a file, - from standard input',
};

/** @throws UsageError */
export function templateOf(options: GivenOptions): Template {
  const extensions = listOption(options, 'extension').map((text): [string, string] => {
    const at = text.indexOf('=');
    if (at < 1) throw new UsageError(`--extension takes NAME=VALUE, not ${text}`);
    return [text.slice(0, at), text.slice(at + 1)];
  });
  return {
    type: textOption(options, 'type'),
    source: textOption(options, 'source'),
    id: textOption(options, 'id'),
    subject: textOption(options, 'subject'),
    time: textOption(options, 'time'),
    contentType: textOption(options, 'content-type'),
    extensions: new Map(extensions),
  };
}

/** What `--data` gives. @throws UsageError where its file can't be read */
export async function dataOf(text: string | undefined, stdin: NodeJS.ReadableStream): Promise<Buffer | undefined> {
  if (text === undefined) return undefined;
  if (text === '-') return buffer(stdin);
  if (!text.startsWith('@')) return Buffer.from(text);
  return readFile(text.slice(1)).catch((error: unknown) => {
    throw new UsageError(`--data: ${messageOf(error)}`, { cause: error });
  });
}

/** @throws EventError */
export function eventOf(template: Template, data: Buffer | undefined): CloudEvent {
  const attributes = newAttributes();
  attributes.specversion = '1.0';
  attributes.id = template.id ?? randomUUID();
  attributes.source = template.source ?? defaultSource;
  attributes.type = template.type;
  attributes.subject = template.subject;
  attributes.time = template.time ?? new Date().toISOString();
  attributes.datacontenttype = data === undefined ? template.contentType : (template.contentType ?? typeOf(data));
  for (const [name, value] of template.extensions) attributes[name] = value;
  checkAttributes(attributes);
  return { attributes, data };
}

function typeOf(data: Buffer): string {
  if (isJson(data)) return 'application/json';
  return isUtf8(data) ? 'text/plain; charset=utf-8' : 'application/octet-stream';
}
