import type { Problem } from '../broker/trigger/manifest.ts';
import type { AppliedChange } from '../broker/trigger/registry-plan.ts';
import { filesType } from '../console/api.ts';
import type { DeadLetter } from '../console/dead-letters.ts';
import type { ProblemDetails } from '../console/problem.ts';
import type { Resource } from '../console/resources.ts';
import { messageOf, PosthornError, UsageError } from '../runtime/errors.ts';
import type { Invocation, Option } from './command.ts';
import { parseExactly } from './exact-json.ts';
import { textOption } from './options.ts';
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

async function request<T>(server: URL, { method, path, query, headers, body }: Call): Promise<T> {
  const url = new URL(`api/v1/${path}`, server);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== false) url.searchParams.set(name, String(value));
  }
  const sent = body ? { body: body.text, headers: { ...headers, 'content-type': body.type } } : { headers };
  const response = await fetch(url, { method, redirect: 'manual', ...sent }).catch((error: unknown) => {
    throw new PosthornError('UNREACHABLE', unreachable(server, error), { cause: error });
  });
  const text = await response.text().catch((error: unknown) => {
    throw new PosthornError('UNREACHABLE', `${server.origin} broke off its answer: ${messageOf(error)}`);
  });
  const answer = parseJson(text);
  if (response.ok && answer !== undefined) return answer as T;
  if (isProblem(answer) && isOfAdmin(answer)) throw new RefusedError(answer);
  throw notPosthorn(server, response.status, isProblem(answer));
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
