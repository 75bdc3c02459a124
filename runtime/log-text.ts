/** Turns a JSON log line into a line for a person: `12:04:31.203 WARN  message key=value key="two words"`. Pure. */
export function textLine(jsonLine: string): string {
  const { time, level, msg, err, error, ...fields } = JSON.parse(jsonLine) as Record<string, unknown>;
  const parts = [timeOfDay(time), String(level).toUpperCase().padEnd(5), printable(String(msg ?? ''))];
  for (const [name, value] of Object.entries(fields)) parts.push(`${name}=${compact(value)}`);
  let stack = '';
  for (const one of [err, error]) {
    if (!isRecord(one)) continue;
    parts.push(`error=${compact(one.message)}`);
    if (typeof one.cause === 'string') parts.push(`cause=${compact(one.cause)}`);
    if (typeof one.stack === 'string') stack += `\n    ${printable(one.stack)}`;
  }
  return `${parts.join(' ')}${stack}\n`;
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
