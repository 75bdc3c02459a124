import type { Problem } from '../broker/trigger/manifest.ts';
import type { AppliedChange } from '../broker/trigger/registry-plan.ts';
import { filesType } from '../console/api.ts';
import type { DeadLetter } from '../console/dead-letters.ts';
import type { ProblemDetails } from '../console/problem.ts';
import type { Resource } from '../console/resources.ts';
import type { TryProgress, TryResult } from '../console/try.ts';
import type { Tried, TryLine } from '../console/try-route.ts';
import { messageOf, PosthornError, UsageError } from '../runtime/errors.ts';
import type { Invocation, Option } from './command.ts';
import { parseExactly } from './exact-json.ts';
import { textOption } from './options.ts';
import { linesOf } from './send/lines.ts';
import { whyUnreachable } from './unreachable.ts';

const defaultServer = 'http://127.0.0.1:8081';

export const serverOption: Option = {
  name: 'server',
  value: 'URL',
  help: `Admin address of the Posthorn to talk to (default POSTHORN_SERVER, else ${defaultServer}); POSTHORN_TOKEN holds its token where it asks for one`,
};

/** The server refused; its words, and what is wrong with the manifests, one by one. */
export class RefusedError extends PosthornError {
  readonly status: number;
  readonly problems: readonly Problem[];

  constructor({ status, detail, code, problems }: Omit<ProblemDetails, 'type' | 'title'>) {
    super(code ?? 'ADMIN_REFUSED', detail);
    this.status = status;
    this.problems = problems ?? [];
  }
}

export interface Changes {
  readonly changes: readonly AppliedChange[];
  /** Warnings. */
  readonly problems: readonly Problem[];
}

export interface DeadLetters {
  readonly items: readonly DeadLetter[];
  /** `hasMore`: others were left out, or not looked at. */
  readonly metadata: { readonly hasMore: boolean };
}

export interface TryOutcome {
  readonly tried: Tried;
  readonly result: TryResult;
}

export interface SentFile {
  /** As problems are to name it. */
  readonly file: string;
  readonly text: string;
}

type Query = Readonly<Record<string, string | boolean | undefined>>;

/** The admin API of a running Posthorn. Every call throws RefusedError, or PosthornError where nobody answers. */
export interface Client {
  /** @param kind triggers or brokers; of every namespace where it is null */
  list(kind: string, namespace: string | null): Promise<readonly Resource[]>;
  read(kind: string, namespace: string, name: string): Promise<Resource>;
  apply(files: readonly SentFile[], query: Query): Promise<Changes>;
  deleteTrigger(namespace: string, name: string, query: Query): Promise<Changes>;
  /** Runs the filter of a trigger over events of the log. @param onProgress is told how far it is, now and then */
  try(files: readonly SentFile[], query: Query, onProgress: (progress: TryProgress) => void): Promise<TryOutcome>;
  /** Of one broker, newest last. */
  deadLetters(namespace: string, broker: string, query: Query): Promise<DeadLetters>;
}

/** @throws UsageError where the address is none */
export function connect({ options, env }: Pick<Invocation, 'options' | 'env'>): Client {
  const server = serverUrl(textOption(options, 'server'), env.POSTHORN_SERVER);
  const token = env.POSTHORN_TOKEN;
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const call = <T>(method: string, path: string, query: Query = {}, body?: Body): Promise<T> => {
    return request<T>(server, { method, path, query, headers, ...(body && { body }) });
  };
  const inNamespace = (namespace: string, kind: string): string =>
    `namespaces/${encodeURIComponent(namespace)}/${kind}`;
  return {
    async list(kind, namespace) {
      const path = namespace === null ? kind : inNamespace(namespace, kind);
      return (await call<{ items: Resource[] }>('GET', path)).items;
    },
    read: (kind, namespace, name) => call('GET', `${inNamespace(namespace, kind)}/${encodeURIComponent(name)}`),
    apply: (files, query) => call('POST', 'apply', query, { type: filesType, text: JSON.stringify({ files }) }),
    async try(files, query, onProgress) {
      const body = { type: filesType, text: JSON.stringify({ files }) };
      const response = await open(server, { method: 'POST', path: 'try', query, headers, body });
      if (!response.ok) throw refusal(server, response.status, parseJson(await textOf(server, response)));
      return outcomeOf(server, response, onProgress);
    },
    deleteTrigger: (namespace, name, query) => {
      return call('DELETE', `${inNamespace(namespace, 'triggers')}/${encodeURIComponent(name)}`, query);
    },
    deadLetters: (namespace, broker, query) => {
      return call('GET', `${inNamespace(namespace, 'brokers')}/${encodeURIComponent(broker)}/dead-letters`, query);
    },
  };
}

interface Body {
  readonly type: string;
  readonly text: string;
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: Query;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Body;
}

async function request<T>(server: URL, call: Call): Promise<T> {
  const response = await open(server, call);
  const answer = parseJson(await textOf(server, response));
  if (response.ok && answer !== undefined) return answer as T;
  throw refusal(server, response.status, answer);
}

async function open(server: URL, { method, path, query, headers, body }: Call): Promise<Response> {
  const url = new URL(`api/v1/${path}`, server);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== false) url.searchParams.set(name, String(value));
  }
  const sent = body ? { body: body.text, headers: { ...headers, 'content-type': body.type } } : { headers };
  return fetch(url, { method, redirect: 'manual', ...sent }).catch((error: unknown) => {
    throw new PosthornError('UNREACHABLE', unreachable(server, error), { cause: error });
  });
}

function textOf(server: URL, response: Response): Promise<string> {
  return response.text().catch((error: unknown) => {
    throw brokenOff(server, messageOf(error));
  });
}

function brokenOff(server: URL, why: string): PosthornError {
  return new PosthornError('UNREACHABLE', `${server.origin} broke off its answer: ${why}`);
}

function refusal(server: URL, status: number, answer: unknown): PosthornError {
  if (isProblem(answer) && isOfAdmin(answer)) return new RefusedError(answer);
  return notPosthorn(server, status, isProblem(answer));
}

/** A line has at most 300 samples with what a filter asks of their attributes. */
const lineMaxBytes = 64 * 1_048_576;

async function outcomeOf(
  server: URL,
  response: Response,
  onProgress: (progress: TryProgress) => void,
): Promise<TryOutcome> {
  let tried: Tried | undefined;
  try {
    for await (const { bytes } of linesOf(chunksOf(response), lineMaxBytes)) {
      const line = parseJson(bytes?.toString() ?? '') as TryLine | undefined;
      if (line === undefined) continue;
      if ('tried' in line) tried = line.tried;
      else if ('progress' in line) onProgress(line.progress);
      else if ('problem' in line) throw new RefusedError(line.problem);
      else if (tried !== undefined) return { tried, result: line.result };
    }
  } catch (error) {
    if (error instanceof PosthornError) throw error;
    throw brokenOff(server, messageOf(error));
  }
  throw brokenOff(server, 'there is no result');
}

async function* chunksOf({ body }: Response): AsyncGenerator<Buffer> {
  if (body === null) return;
  for await (const chunk of body) yield Buffer.from(chunk);
}

function serverUrl(option: string | undefined, variable: string | undefined): URL {
  const text = option ?? (variable || defaultServer);
  const place = option !== undefined ? '--server' : 'POSTHORN_SERVER';
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`${place} must be a URL like ${defaultServer}, not ${JSON.stringify(text)}`);
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

function unreachable(server: URL, error: unknown): string {
  // What fetch throws says no more than that it failed; its cause says why.
  const why = whyUnreachable((error instanceof Error && error.cause) || error);
  return `no Posthorn answers at ${server.origin} (${why}); start one with posthorn serve, or name another with --server or POSTHORN_SERVER`;
}

function notPosthorn(server: URL, status: number, isEventPort: boolean): PosthornError {
  const advice = isEventPort
    ? `it is likely the port for events; name the admin port with --server or POSTHORN_SERVER (${defaultServer} unless set otherwise)`
    : 'is --server right?';
  const text = `${server.origin} answered ${status}, but not as the admin port of Posthorn does; ${advice}`;
  return new PosthornError('NOT_POSTHORN', text);
}

function parseJson(text: string): unknown {
  try {
    return parseExactly(text);
  } catch {
    return undefined;
  }
}

function isProblem(value: unknown): value is ProblemDetails {
  if (typeof value !== 'object' || value === null) return false;
  const { status, detail } = value as Partial<ProblemDetails>;
  return typeof status === 'number' && typeof detail === 'string';
}

/** The admin API knows each path that a command asks for, so a 404 of its own has a code; the port for events has none. */
function isOfAdmin({ status, code }: ProblemDetails): boolean {
  return code !== undefined || (status !== 404 && status !== 405);
}
