import { isIPv6 } from 'node:net';

// The grammar of RFC 3986, appendix A. Every choice is between disjoint characters, so matching takes linear time.
const characters = "A-Za-z0-9\\-._~!$&'()*+,;=";
const escaped = '%[0-9A-Fa-f]{2}';
const userinfo = `(?:[${characters}:]|${escaped})*@`;
const literal = `\\[(?:[0-9A-Fa-f:.]+|[vV][0-9A-Fa-f]+\\.[${characters}:]+)\\]`;
const authority = `(?:${userinfo})?(?:${literal}|(?:[${characters}]|${escaped})*)(?::[0-9]*)?`;
const path = `(?:[${characters}:@/]|${escaped})*`;
const tail = `(?:[${characters}:@/?]|${escaped})*`;
const afterScheme = `(?://${authority}(?:/${path})?|(?!//)${path})(?:\\?${tail})?(?:#${tail})?$`;

const absolute = new RegExp(`^[A-Za-z][A-Za-z0-9+.-]*:${afterScheme}`);
// Without a scheme the first segment must not have a colon, or it would read as one.
const relative = new RegExp(`^(?![^/?#]*:)${afterScheme}`);
const ipv6Literal = /^[^/?#]*\/\/[^/?#]*\[([0-9A-Fa-f:.]+)\]/;

/** Whether it is a URI-reference (RFC 3986, section 4.1). */
export function isUriReference(text: string): boolean {
  return (relative.test(text) || absolute.test(text)) && hasGoodLiteral(text);
}

/** Whether it is a URI with a scheme (RFC 3986, section 3). */
export function isUri(text: string): boolean {
  return absolute.test(text) && hasGoodLiteral(text);
}

function hasGoodLiteral(text: string): boolean {
  if (!text.includes('[')) return true;
  const address = ipv6Literal.exec(text)?.[1];
  return address === undefined || isIPv6(address);
}
