import { Agent, type Dispatcher } from 'undici';
import { messageOf } from '../../runtime/errors.ts';
import { parseSchema, schemaMaxBytes } from './directory.ts';

/** What a registry answered to a GET of a schema. */
export type Answer =
  | { readonly kind: 'schema'; readonly value: unknown; readonly etag: string | null; readonly maxAgeMs: number | null }
  /** What was there before is so still. */
  | { readonly kind: 'unchanged'; readonly maxAgeMs: number | null }
  /** There is nothing there. */
  | { readonly kind: 'absent'; readonly reason: string }
  /** What is there is no JSON, or too much. */
  | { readonly kind: 'broken'; readonly reason: string }
  /** It may be there. */
  | { readonly kind: 'failed'; readonly reason: string };

/** An answer that is not complete by then counts as none. */
export const fetchTimeoutMs = 5_000;

/** Requests to a registry at once. */
const connectionsMax = 8;

/** Gets schemas by HTTP. */
export class SchemaFetcher {
  readonly #timeoutMs: number;
  readonly #agent = new Agent({ connections: connectionsMax, pipelining: 1 });
  readonly #closing = new AbortController();

  constructor(timeoutMs: number = fetchTimeoutMs) {
    this.#timeoutMs = timeoutMs;
  }

  /** Never rejects. No redirect is followed: it would lead to where nobody has allowed. */
  async get(url: string, etag: string | null): Promise<Answer> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(this.#timeoutMs)]);
    try {
      const { origin, pathname } = new URL(url);
      const headers = { accept: 'application/schema+json, application/json', ...(etag && { 'if-none-match': etag }) };
      const answer = await this.#agent.request({ origin, path: pathname, method: 'GET', headers, signal });
      return await this.#read(answer);
    } catch (error) {
      const words = signal.aborted ? `no answer within ${this.#timeoutMs / 1_000} s` : messageOf(error);
      return { kind: 'failed', reason: words };
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#agent.destroy();
  }

  async #read({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<Answer> {
    const maxAgeMs = maxAgeOf(headers);
    if (statusCode !== 200) {
      // The connection is of use again once the body was read, and of a long one is closed.
      await body.dump({ limit: 65_536 });
      if (statusCode === 304) return { kind: 'unchanged', maxAgeMs };
      const reason = `it answers ${statusCode}`;
      return isForNow(statusCode) ? { kind: 'failed', reason } : { kind: 'absent', reason };
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      // Leaving the loop ends the connection.
      if (bytes > schemaMaxBytes) return { kind: 'broken', reason: `it has more than ${schemaMaxBytes} bytes` };
      chunks.push(chunk);
    }
    const parsed = parseSchema(Buffer.concat(chunks).toString());
    if ('problem' in parsed) return { kind: 'broken', reason: `it ${parsed.problem}` };
    const { etag } = headers;
    return { kind: 'schema', value: parsed.value, etag: typeof etag === 'string' ? etag : null, maxAgeMs };
  }
}

/** Whether the status says nothing of the schema: the server has trouble, or wants to know who asks. */
function isForNow(status: number): boolean {
  return status >= 500 || [401, 407, 408, 425, 429].includes(status);
}

/** Null: the answer does not say. */
function maxAgeOf(headers: Dispatcher.ResponseData['headers']): number | null {
  const control = [headers['cache-control'] ?? []].flat().join();
  if (/\b(?:no-store|no-cache)\b/i.test(control)) return 0;
  const [, seconds] = /(?:^|[\s,])max-age\s*=\s*"?(\d{1,10})/i.exec(control) ?? [];
  return seconds === undefined ? null : Math.max(0, Number(seconds) - ageOf(headers)) * 1_000;
}

/** Seconds that a cache on the way has held it. */
function ageOf({ age }: Dispatcher.ResponseData['headers']): number {
  return typeof age === 'string' && /^\d{1,10}$/.test(age) ? Number(age) : 0;
}
