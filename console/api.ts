import type { FastifyInstance } from 'fastify';
import type { Brokers } from '../broker/brokers.ts';
import type { Log } from '../broker/log/log.ts';
import { parseManifests } from '../broker/trigger/manifest.ts';
import { hasErrors } from '../broker/trigger/manifest-files.ts';
import type { Registry } from '../broker/trigger/registry.ts';
import { ApplyRefusedError, defaultOwner, findTrigger, fullName } from '../broker/trigger/registry-plan.ts';
import type { BrokerName } from '../broker/trigger/trigger.ts';
import { PosthornError } from '../runtime/errors.ts';
import { deadLetterList } from './dead-letters.ts';
import { badRequest, readQuery } from './query.ts';
import { brokerResource, type Resource, triggerResource } from './resources.ts';
import { tryRoute } from './try-route.ts';

/** Several files in one apply, so that problems can name each: `{"files": [{"file": "a.yaml", "text": "…"}]}`. */
export const filesType = 'application/vnd.posthorn.files+json';

/** Of one answer; what lies further back is to be read from the topic itself. */
export const deadLettersMax = 1_000;
export const deadLettersDefault = 20;

const manifestTypes = ['application/yaml', 'application/x-yaml', 'text/yaml', 'application/json', filesType];

interface Named {
  readonly Params: { readonly namespace: string; readonly name: string };
}

/** The routes under `/api/v1`. */
export function apiRoutes(
  api: FastifyInstance,
  brokers: Brokers,
  log: Pick<Log, 'ranges' | 'offsetsAt' | 'read'>,
): void {
  api.removeAllContentTypeParsers();
  api.addContentTypeParser(manifestTypes, { parseAs: 'string' }, (_request, body, done) => done(null, body));

  api.get('/triggers', () => list('Trigger', triggersOf(brokers.list())));
  api.get('/brokers', () => list('Broker', brokers.list().map(brokerResource)));
  api.get<Named>('/namespaces/:namespace/triggers', ({ params }) => {
    return list('Trigger', triggersOf(inNamespace(brokers, params.namespace)));
  });
  api.get<Named>('/namespaces/:namespace/brokers', ({ params }) => {
    return list('Broker', inNamespace(brokers, params.namespace).map(brokerResource));
  });
  api.get<Named>('/namespaces/:namespace/triggers/:name', ({ params }) => {
    const states = brokers.list().map((registry) => registry.stored());
    const found = findTrigger(states, params);
    if (!found) throw new PosthornError('TRIGGER_UNKNOWN', `no trigger ${fullName(params)}`);
    return triggerResource(found.broker, found.stored);
  });
  api.get<Named>('/namespaces/:namespace/brokers/:name', ({ params }) => {
    return brokerResource(brokerOf(brokers, params));
  });
  api.get<Named>('/namespaces/:namespace/brokers/:name/dead-letters', async ({ params, query }, reply) => {
    const options = readQuery(query, { trigger: 'text', limit: 'count' });
    const trigger = options.text('trigger') ?? null;
    const limit = options.count('limit', deadLettersMax) ?? deadLettersDefault;
    const list = await deadLetterList(log, brokerOf(brokers, params), { trigger, limit });
    return reply.type('application/json; charset=utf-8').send(list);
  });
  api.delete<Named>('/namespaces/:namespace/triggers/:name', async ({ params, query }) => {
    const options = readQuery(query, { owner: 'text', discardBacklog: 'switch', dryRun: 'switch' });
    const owner = options.text('owner') ?? defaultOwner;
    const [discardBacklog, dryRun] = [options.on('discardBacklog'), options.on('dryRun')];
    const change = await brokers.deleteTrigger({ ...params, owner, discardBacklog, dryRun });
    return { changes: [change], problems: [] };
  });
  api.delete<Named>('/namespaces/:namespace/brokers/:name', () => {
    throw new PosthornError(
      'BROKER_DELETE',
      "a broker can't be deleted yet: its topics hold events; without triggers it costs nothing",
    );
  });
  tryRoute(api, brokers, log, filesOf);
  api.post('/apply', ({ headers, body, query }) => apply(brokers, filesOf(headers['content-type'], body), query));
}

/** A file of manifests in the body of an apply. */
interface SentFile {
  readonly file: string;
  readonly text: string;
}

async function apply(brokers: Brokers, files: readonly SentFile[], query: unknown) {
  const { prefix } = brokers;
  const options = readQuery(query, {
    owner: 'text',
    namespace: 'text',
    prune: 'switch',
    allowEmpty: 'switch',
    dryRun: 'switch',
  });
  const namespace = options.text('namespace') ?? 'default';
  const parsed = files.map(({ file, text }) => parseManifests(text, file, { namespace, prefix }));
  const problems = parsed.flatMap((one) => one.problems);
  if (hasErrors({ problems })) throw new ApplyRefusedError(problems);
  const changes = await brokers.apply({
    documents: parsed.flatMap((one) => one.documents),
    owner: options.text('owner') ?? defaultOwner,
    prune: options.on('prune'),
    allowEmpty: options.on('allowEmpty'),
    dryRun: options.on('dryRun'),
  });
  return { changes, problems };
}

function filesOf(contentType: string | undefined, body: unknown): SentFile[] {
  if (typeof body !== 'string') throw badRequest(`the body is to be manifests, as ${manifestTypes.join(', ')}`);
  if (!contentType?.startsWith(filesType)) return [{ file: 'body', text: body }];
  const malformed = badRequest(`a body of ${filesType} is {"files": [{"file": "NAME", "text": "MANIFESTS"}]}`);
  try {
    const { files } = JSON.parse(body) as { files?: unknown };
    if (Array.isArray(files) && files.every(isSentFile)) return files;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw malformed;
}

function isSentFile(value: unknown): value is SentFile {
  if (typeof value !== 'object' || value === null) return false;
  const { file, text } = value as Partial<SentFile>;
  return typeof file === 'string' && typeof text === 'string';
}

function triggersOf(registries: readonly Registry[]): Resource[] {
  return registries
    .flatMap((registry) =>
      [...registry.stored().triggers.values()].map((stored) => triggerResource(registry.name, stored)),
    )
    .toSorted((a, b) => compare(sortKey(a), sortKey(b)));
}

/** @throws PosthornError */
function brokerOf(brokers: Brokers, name: BrokerName): Registry {
  const registry = brokers.get(name.namespace, name.name);
  if (!registry) throw new PosthornError('BROKER_UNKNOWN', `no broker ${fullName(name)}`);
  return registry;
}

function inNamespace(brokers: Brokers, namespace: string): Registry[] {
  return brokers.list().filter((registry) => registry.name.namespace === namespace);
}

function list(kind: string, items: readonly Resource[]) {
  return { apiVersion: 'eventing.knative.dev/v1', kind: `${kind}List`, items };
}

function sortKey({ metadata }: Resource): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
