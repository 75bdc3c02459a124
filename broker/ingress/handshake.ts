import type { IncomingMessage, ServerResponse } from 'node:http';

/** What brokers and webhooks take. */
export const allowedMethods = 'POST, OPTIONS';

/**
 * Answers OPTIONS (CloudEvents HTTP webhooks 1.0.2, section 4.2): every sender that asks may send, at any rate. A
 * request without WebHook-Request-Origin asks for nothing, and is told the methods alone.
 */
export function answerOptions({ headers }: IncomingMessage, response: ServerResponse): void {
  const origin = headers['webhook-request-origin'];
  response.writeHead(200, {
    allow: allowedMethods,
    'content-length': 0,
    ...(origin !== undefined && { 'webhook-allowed-origin': origin, 'webhook-allowed-rate': '*' }),
  });
  response.end();
}

/**
 * A subscriber gives its permission by calling the URL that it was told (section 4.1.2), by GET or by POST.
 * @param rate WebHook-Allowed-Rate; null: there is none
 */
export type OnPermission = (key: string, rate: string | null) => Permission | Promise<Permission>;

export type Permission = 'granted' | 'unknown' | 'bad rate';

/** Answers people too, who open the URL in a browser. */
export async function answerCallback(
  { headers, url = '' }: IncomingMessage,
  response: ServerResponse,
  onPermission: OnPermission,
): Promise<void> {
  const key = new URLSearchParams(url.slice(url.indexOf('?') + 1)).get('key') ?? '';
  const rate = headers['webhook-allowed-rate'];
  const [status, words] = answers[await onPermission(key, typeof rate === 'string' ? rate : null)];
  const body = Buffer.from(`${words}\n`);
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': body.length });
  response.end(body);
}

const answers = {
  granted: [200, 'Thank you: the events are delivered from now on.'],
  unknown: [404, 'No permission is waited for under this key: it was given, or the request for it is over.'],
  'bad rate': [400, 'WebHook-Allowed-Rate must be a number of requests a minute above 0, or *.'],
} as const;
