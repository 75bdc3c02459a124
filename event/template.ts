import { formatPointer, type JsonPointer, type JsonText, parsePointer } from './json-pointer.ts';

/** How a text is made of a JSON value: texts and pointers in turn. */
export type Template = readonly (string | JsonPointer)[];

/**
 * Reads a template: a JSON pointer (`/meta/id`), a text with pointers in braces (`https://{/meta/domain}`), or a text
 * that stands for itself.
 * @returns the template, or what is wrong with the text
 */
export function parseTemplate(text: string): Template | { readonly problem: string } {
  if (text === '') return { problem: 'is empty; write a JSON pointer, as /meta/id' };
  if (!text.includes('{/') && text.startsWith('/')) {
    const pointer = parsePointer(text);
    return pointer ? [pointer] : { problem: notPointer(text) };
  }
  const parts: (string | JsonPointer)[] = [];
  for (const [index, part] of text.split(/\{(\/[^}]*)\}/).entries()) {
    if (index % 2 === 0) {
      if (/[{}]/.test(part)) return { problem: 'has a brace that is not part of a pointer, as {/meta/domain}' };
      if (part !== '') parts.push(part);
      continue;
    }
    const pointer = parsePointer(part);
    if (pointer === null) return { problem: notPointer(part) };
    parts.push(pointer);
  }
  return parts;
}

function notPointer(text: string): string {
  return `has ${text}, which is no JSON pointer (RFC 6901): after ~ comes 0 or 1`;
}

/** The text; undefined where one of the pointers finds nothing. @throws EventError where one finds no plain value */
export function fillIn(template: Template, json: () => JsonText): string | undefined {
  let filled = '';
  for (const part of template) {
    const text = typeof part === 'string' ? part : json().textAt(part);
    if (text === undefined) return undefined;
    filled += text;
  }
  return filled;
}

/** The template as it is written. */
export function formatTemplate(template: Template): string {
  const [first] = template;
  if (template.length === 1 && typeof first === 'object') return formatPointer(first);
  return template.map((part) => (typeof part === 'string' ? part : `{${formatPointer(part)}}`)).join('');
}
