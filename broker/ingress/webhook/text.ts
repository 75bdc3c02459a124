import type { IncomingHttpHeaders } from 'node:http';
import { formatPointer, type JsonPointer, type JsonText, parsePointer } from '../../../event/json-pointer.ts';

/** How a text is made of a webhook's request: texts, headers and places in its JSON, in turn. */
export type RequestText = readonly (string | JsonPointer | HeaderPart)[];

interface HeaderPart {
  /** In lower case. */
  readonly header: string;
}

/** What of a request texts are made of. */
export interface RequestParts {
  readonly headers: IncomingHttpHeaders;
  readonly json: JsonText;
}

const headerName = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

/**
 * Reads a text with places in braces, `{header:X-Event}` or `{/data/id}`, or one JSON pointer (`/data/id`) as it is.
 * @returns the parts, or what is wrong
 */
export function parseRequestText(text: string): RequestText | { readonly problem: string } {
  if (text === '') return { problem: 'is empty; write a JSON pointer, as /id, or a header, as {header:X-Id}' };
  if (text.startsWith('/') && !/[{}]/.test(text)) return parsePlace(text);
  const parts: (string | JsonPointer | HeaderPart)[] = [];
  for (const [index, part] of text.split(/\{([^{}]*)\}/).entries()) {
    if (index % 2 === 0) {
      if (/[{}]/.test(part)) return { problem: 'has a brace without its other one' };
      if (part !== '') parts.push(part);
      continue;
    }
    const place = parsePlace(part);
    if ('problem' in place) return place;
    parts.push(...place);
  }
  return parts;
}

function parsePlace(place: string): RequestText | { readonly problem: string } {
  const header = /^header:(.*)$/.exec(place)?.[1];
  if (header !== undefined && headerName.test(header)) return [{ header: header.toLowerCase() }];
  const pointer = place.startsWith('/') ? parsePointer(place) : null;
  if (pointer !== null) return [pointer];
  return { problem: `has ${JSON.stringify(place)}, which is neither header:NAME nor a JSON pointer, as /data/id` };
}

/** The text; undefined where one of its places is absent or empty. @throws EventError where one is an object or array */
export function fillInText(text: RequestText, { headers, json }: RequestParts): string | undefined {
  let filled = '';
  for (const part of text) {
    const found = typeof part === 'string' ? part : 'header' in part ? headers[part.header] : json.textAt(part);
    if (found === undefined || found === '') return undefined;
    filled += found;
  }
  return filled;
}

/** The text as it is written. */
export function formatText(text: RequestText): string {
  return text
    .map((part) =>
      typeof part === 'string' ? part : `{${'header' in part ? `header:${part.header}` : formatPointer(part)}}`,
    )
    .join('');
}
