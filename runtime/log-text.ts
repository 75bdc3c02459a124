/**
 * Turns a JSON log line into a line for a person: `12:04:31.203 WARN  message key=value key="two words"`. What holds
 * nothing, and what only repeats the message, is left out. Pure.
 */
export function textLine(jsonLine: string): string {
  const { time, level, msg, err, error, ...fields } = JSON.parse(jsonLine) as Record<string, unknown>;
  const message = String(msg ?? '');
  const parts = [timeOfDay(time), String(level).toUpperCase().padEnd(5), printable(message)];
  const isPlaced = says(message, `${fields.file}:${fields.line}:${fields.column}`);
  for (const [name, value] of Object.entries(fields)) {
    if (isEmpty(value) || (isPlaced && placeFields.has(name)) || repeats(message, name, value)) continue;
    parts.push(`${name}=${compact(value)}`);
  }
  let said = message;
  let stack = '';
  for (const one of [err, error]) {
    if (!isRecord(one)) continue;
    for (const [name, value] of [['error', one.message] as const, ['cause', one.cause] as const]) {
      if (typeof value !== 'string' || said.includes(value)) continue;
      said += `\n${value}`;
      parts.push(`${name}=${compact(value)}`);
    }
    if (typeof one.stack === 'string') stack += `\n    ${printable(one.stack)}`;
  }
  return `${parts.join(' ')}${stack}\n`;
}

/** Where a manifest has a problem: the message of such a line begins with `FILE:LINE:COLUMN: FIELD: `. */
const placeFields = new Set(['file', 'line', 'column', 'field']);

/** Fields whose values are words of ours, which stand in a message for nothing else. */
const ownWords = new Set(['action', 'signal']);

/** A trigger may be called `failed`: a plain word in the message need not be the field's. */
function repeats(message: string, name: string, value: unknown): boolean {
  if (typeof value !== 'string' || (/^[\w-]+$/.test(value) && !ownWords.has(name))) return false;
  return says(message, value);
}

/** Whether the text stands in the message by itself, not as a part of a longer word or path. */
function says(message: string, text: string): boolean {
  for (let at = message.indexOf(text); at !== -1; at = message.indexOf(text, at + 1)) {
    const [before = ' ', after = ' '] = [message[at - 1], message[at + text.length]];
    if (/[\s"'(]/.test(before) && /[\s"'),;:]/.test(after)) return true;
  }
  return false;
}

function isEmpty(value: unknown): boolean {
  return value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);
}

function timeOfDay(time: unknown): string {
  const at = new Date(String(time));
  const two = (n: number): string => String(n).padStart(2, '0');
  const milliseconds = String(at.getMilliseconds()).padStart(3, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${milliseconds}`;
}

function compact(value: unknown): string {
  if (typeof value !== 'string') return printable(JSON.stringify(value) ?? 'undefined');
  return /^[^\s"=]+$/.test(value) ? printable(value) : printable(JSON.stringify(value));
}

/** What came with an event must not steer the terminal: control characters but line breaks show as escapes. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
