import { createHash, timingSafeEqual } from 'node:crypto';
import { BlockList, isIPv6 } from 'node:net';

/** What of a request decides whether the API answers it. */
export interface Caller {
  /** The address of the other end of the connection. */
  readonly remoteAddress: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export interface Refusal {
  readonly status: 401 | 403;
  readonly detail: string;
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/**
 * Whether the API answers: with the token always, without it only to a program on this machine. A page in a browser on
 * this machine is no such program, whatever name it resolved to 127.0.0.1 (DNS rebinding), nor is who comes through a
 * proxy. Returns null to let the request pass.
 */
export function refuse({ remoteAddress, headers }: Caller, token: string | null): Refusal | null {
  const { authorization, host, origin } = headers;
  const given = typeof authorization === 'string' ? /^Bearer +(.+)$/i.exec(authorization)?.[1] : undefined;
  if (given !== undefined) {
    if (token !== null && sameText(given, token)) return null;
    return {
      status: 401,
      detail: token === null ? 'this Posthorn has no token; send none' : 'the token is not the right one',
    };
  }
  if (!isLoopback(remoteAddress)) {
    return token === null
      ? {
          status: 403,
          detail: `the API answers on the loopback address only; to open it to ${remoteAddress} start Posthorn with --admin-token-file`,
        }
      : { status: 401, detail: 'the API needs the token here: Authorization: Bearer TOKEN' };
  }
  if (headers.forwarded !== undefined || headers['x-forwarded-for'] !== undefined) {
    return { status: 403, detail: 'through a proxy the API needs a token: start Posthorn with --admin-token-file' };
  }
  if (typeof host !== 'string' || !isLoopbackHost(host)) {
    return {
      status: 403,
      detail: `without a token the API is to be called as localhost or 127.0.0.1, not as ${String(host)}`,
    };
  }
  const site = headers['sec-fetch-site'];
  if ((origin !== undefined && origin !== `http://${host}`) || site === 'cross-site' || site === 'same-site') {
    return { status: 403, detail: 'the API does not answer pages of another site' };
  }
  return null;
}

export function isLoopback(address: string): boolean {
  return loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

function isLoopbackHost(host: string): boolean {
  return /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/i.test(host);
}

/** Takes the same time wherever the texts differ. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
