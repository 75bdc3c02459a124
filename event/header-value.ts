import { isUtf8 } from 'node:buffer';
import { EventError, shown } from './errors.ts';
import { isUri, isUriReference } from './uri.ts';

// Out here, as a literal in a function is a new object at each call.
const needsNoEncoding = /^[!#$&-~]*$/;
const needsNoDecoding = /^[ !#$&-~]*$/;

/** The value of an attribute as an HTTP header holds it (CloudEvents HTTP binding 1.0.2, section 3.1.3.2). */
export function encodeHeaderValue(value: string): string {
  if (needsNoEncoding.test(value)) return value;
  return value.replace(/[^!#$&-~]+/g, encodeURIComponent);
}

/**
 * The value of an attribute from its HTTP header: unquoted, percent-decoded, UTF-8. Bytes of UTF-8 that were not
 * percent-encoded are taken too. A value that does not begin with a double quote is not quoted: quotes within it are its
 * own, as senders that encode nothing write them. They write a URI with its own percent signs too: what is no URI once it
 * is decoded, and one as it came, is taken as it came. Who encodes can't mean it, as `%20` of a URI is then `%2520`.
 *
 * @param value with a character for each byte, as node:http gives it
 * @throws EventError
 */
export function decodeHeaderValue(name: string, value: string): string {
  if (needsNoDecoding.test(value)) return value;
  const unquoted = value.startsWith('"') ? unquote(name, value) : value;
  const bytes = unquoted.replace(/%([0-9A-Fa-f]{2})?/g, (_, hex: string | undefined) => {
    if (hex === undefined)
      throw wrong(name, value, '% is not followed by two hexadecimal digits; a percent sign is %25');
    return String.fromCharCode(Number.parseInt(hex, 16));
  });
  const buffer = Buffer.from(bytes, 'latin1');
  // A character above U+00FF is no byte, and would be cut to one.
  if (!isUtf8(buffer) || /[^\0-\xff]/.test(bytes)) throw wrong(name, value, 'it is not UTF-8, percent-encoded');
  const decoded = buffer.toString();
  const isRight = uriAttributes.get(name);
  return isRight !== undefined && !isRight(decoded) && isRight(value) ? value : decoded;
}

const uriAttributes: ReadonlyMap<string, (text: string) => boolean> = new Map([
  ['source', isUriReference],
  ['dataschema', isUri],
]);

/** Takes the quotes off (RFC 9110, section 5.6.4); text after the closing quote stays. */
function unquote(name: string, value: string): string {
  let text = '';
  let quoted = false;
  for (let at = 0; at < value.length; at++) {
    const character = value.charAt(at);
    if (character === '"') {
      quoted = !quoted;
    } else if (character === '\\' && quoted) {
      at++;
      text += value.charAt(at);
    } else {
      text += character;
    }
  }
  if (quoted) throw wrong(name, value, 'its closing double quote is missing; a double quote is %22');
  return text;
}

function wrong(name: string, value: string, why: string): EventError {
  return new EventError(`attribute ${name} has the header value ${shown(value)}: ${why}`, { attribute: name });
}
