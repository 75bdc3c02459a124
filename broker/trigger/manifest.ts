import { PosthornError } from '../../runtime/errors.ts';
import { didYouMean } from '../../runtime/nearest.ts';
import { describe, Field, type Finding, formatPath, isObject, type Path, type Report } from './manifest-field.ts';
import { apiVersion, readBroker, readTrigger, type Surroundings, serverMetadata } from './manifest-resource.ts';
import { type Position, readYaml, type YamlDocument } from './manifest-yaml.ts';
import { type Broker, defaultDelivery, type Manifest, type Trigger } from './trigger.ts';

/** Something to be said of a manifest. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  /** The file as it was named by the caller. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** The path of the field (`spec.delivery.backoffDelay`), '' where the whole document or file is meant. */
  readonly field: string;
  /** What was seen, and what would be right. */
  readonly message: string;
}

/** A Trigger or Broker that has no errors. */
export interface ParsedDocument {
  readonly kind: 'Trigger' | 'Broker';
  readonly namespace: string;
  readonly name: string;
  /** As the user wrote it, with `metadata.namespace` filled in, and without what only a Kubernetes API server sets. */
  readonly manifest: Manifest;
  readonly file: string;
  /** Where its name stands. */
  readonly line: number;
  readonly column: number;
  /** Where the other fields stand that only the registry can judge; of one that is absent, what it would stand in. */
  readonly places: Readonly<Record<keyof typeof judgedFields, Position>>;
}

const judgedFields = {
  'spec.broker': ['spec', 'broker'],
  'metadata.annotations["kafka.eventing.knative.dev/external.topic"]': [
    'metadata',
    'annotations',
    'kafka.eventing.knative.dev/external.topic',
  ],
  'metadata.annotations["posthorn.dev/reply-to"]': ['metadata', 'annotations', 'posthorn.dev/reply-to'],
  'metadata.annotations["posthorn.dev/value-format"]': ['metadata', 'annotations', 'posthorn.dev/value-format'],
} as const;

export interface ParseOptions {
  /** Where a manifest names no namespace; `default` if absent. */
  readonly namespace?: string;
  /** What the names of topics begin with, for the check of their length; `posthorn` if absent. */
  readonly prefix?: string;
}

export interface ParsedManifests {
  readonly documents: ParsedDocument[];
  readonly problems: Problem[];
}

/** Ten thousand triggers in one file, with room to spare. */
export const fileMaxBytes = 16_777_216;

/** Half of what a record of the registry may have; Kubernetes itself takes 256 KiB of annotations. */
const manifestMaxBytes = 524_288;

/** Nobody reads more of one file at once. */
const problemsMax = 1_000;

/**
 * Reads the manifests of one file (YAML of any number of documents, or JSON). All problems of the file are given;
 * of a document with an error nothing else is. Pure, never throws.
 * @param text decoded as UTF-8; what could not be decoded is U+FFFD, as Node.js does it
 * @param file what problems name as the file
 */
export function parseManifests(text: string, file: string, options: ParseOptions = {}): ParsedManifests {
  const whole = { severity: 'error', file, line: 1, column: 1, field: '' } as const;
  const refused = (message: string): ParsedManifests => ({ documents: [], problems: [{ ...whole, message }] });
  if (text.trim() === '') return refused('the file is empty');
  const bytes = Buffer.byteLength(text);
  if (bytes > fileMaxBytes) return refused(`the file has ${bytes} bytes, at most ${fileMaxBytes} are read; divide it`);

  const undecodable = text.indexOf('\uFFFD');
  if (undecodable !== -1) {
    const before = text.slice(0, undecodable).split('\n');
    const place = { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
    return { documents: [], problems: [{ ...whole, ...place, message: 'not UTF-8; save the file in that encoding' }] };
  }

  const surroundings = { namespace: options.namespace ?? 'default', prefix: options.prefix ?? 'posthorn' };
  const yaml = readYaml(text);
  const problems: Problem[] = yaml.errors.map((error) => ({ severity: 'error', file, ...error }));
  const filled = yaml.documents.filter(({ value }) => value !== null);
  if (filled.length === 0 && problems.length === 0) {
    problems.push({ ...whole, severity: 'warning', message: 'the file has no manifest, only comments' });
  }
  const documents = filled.flatMap((document) => parseDocument(document, file, surroundings, problems));
  const duplicates = duplicatesIn(documents);
  problems.push(...duplicates.map(({ problem }) => problem));
  problems.sort((a, b) => a.line - b.line || a.column - b.column);
  if (problems.length > problemsMax) {
    const message = `and ${problems.length - problemsMax} more problems in this file`;
    problems.splice(problemsMax, problems.length, { ...whole, line: text.split('\n').length, message });
  }
  const repeated = new Set(duplicates.map(({ document }) => document));
  return { documents: documents.filter((document) => !repeated.has(document)), problems };
}

/** The Triggers and Brokers of a document: itself, or what a `List` holds. */
function parseDocument(
  document: YamlDocument,
  file: string,
  surroundings: Surroundings,
  problems: Problem[],
): ParsedDocument[] {
  const findings: Finding[] = [];
  const report: Report = { add: (finding) => findings.push(finding), writtenAs: document.writtenAs };
  const items = listed(new Field(document.value, [], report));
  const documents = items.flatMap((item) => parseResource(item, findings, surroundings) ?? []);
  // Whatever else a file holds is none of our business, as long as the file can be read.
  const isOurs = items.some(({ value }) => isObject(value) && value.apiVersion === apiVersion);
  if (isOurs) problems.push(...document.errors.map((error) => ({ severity: 'error', file, ...error }) as const));
  for (const { severity, path, at, offset, message } of findings) {
    problems.push({ severity, file, ...document.locate(path, at, offset), field: formatPath(path), message });
  }
  if (isOurs && document.errors.length > 0) return [];
  return documents.map(({ path, ...resource }) => {
    const placeOf = (field: Path): Position => document.locate([...path, ...field], 'value', null);
    const { line, column } = placeOf(['metadata', 'name']);
    const judged = Object.entries(judgedFields).map(([name, field]) => [name, placeOf(field)]);
    return { ...resource, file, line, column, places: Object.fromEntries(judged) };
  });
}

function listed(root: Field): Field[] {
  const kind = root.field('kind').value;
  const isList = kind === 'List' || kind === 'TriggerList' || kind === 'BrokerList';
  return isList ? (root.field('items').list() ?? []) : [root];
}

type Resource = Omit<ParsedDocument, keyof Position | 'file' | 'places'> & { readonly path: Path };

function parseResource(root: Field, findings: Finding[], surroundings: Surroundings): Resource | undefined {
  const before = findings.length;
  const kind = readKind(root);
  if (kind === undefined) return undefined;
  const { namespace, name } = kind === 'Trigger' ? readTrigger(root, surroundings) : readBroker(root, surroundings);
  const { value, path } = root;
  if (findings.slice(before).some(({ severity }) => severity === 'error') || !isManifest(value)) return undefined;
  const manifest = storedForm(value, namespace);
  const bytes = Buffer.byteLength(JSON.stringify(manifest));
  if (bytes > manifestMaxBytes) {
    return root.error(`the manifest has ${bytes} bytes as JSON, at most ${manifestMaxBytes} are taken`);
  }
  return { kind, namespace, name, manifest, path };
}

const kinds = ['Trigger', 'Broker'] as const;

function readKind(root: Field): 'Trigger' | 'Broker' | undefined {
  if (!isObject(root.value)) {
    return root.error(`must be an object with apiVersion, kind, metadata and spec, found ${describe(root.value)}`);
  }
  const [kind, version] = [root.field('kind'), root.field('apiVersion')];
  if (!kind.present) return kind.error('missing; must be Trigger or Broker', 'key');
  const known = kinds.find((one) => one === kind.value);
  if (known !== undefined) {
    if (version.value === apiVersion) return known;
    const found = version.present ? `, found ${describe(version.value)}` : '';
    return version.error(`${version.present ? '' : 'missing; '}must be ${apiVersion} for a ${known}${found}`);
  }
  const name = typeof kind.value === 'string' && /^\w+$/.test(kind.value) ? kind.value : describe(kind.value);
  const guess = didYouMean(name, kinds);
  if (version.value === apiVersion && guess !== '')
    return kind.error(`must be Trigger or Broker, found ${name}${guess}`);
  kind.warn(`${name} is skipped: only a Trigger or a Broker of ${apiVersion} is read`);
  return undefined;
}

function isManifest(value: unknown): value is Manifest {
  return isObject(value) && isObject(value.metadata) && typeof value.metadata.name === 'string';
}

function storedForm({ status: _, ...manifest }: Manifest, namespace: string): Manifest {
  const kept = Object.entries(manifest.metadata).filter(([name]) => !serverMetadata.includes(name));
  return { ...manifest, metadata: { ...Object.fromEntries(kept), name: manifest.metadata.name, namespace } };
}

/** The documents that name a Trigger or Broker which one before them names too, each with what is to be said of it. */
export function duplicatesIn(
  documents: readonly ParsedDocument[],
): { readonly document: ParsedDocument; readonly problem: Problem }[] {
  const first = new Map<string, ParsedDocument>();
  return documents.flatMap((document) => {
    const { kind, namespace, name, file, line, column } = document;
    const key = `${kind} ${namespace}/${name}`;
    const other = first.get(key);
    if (other === undefined) {
      first.set(key, document);
      return [];
    }
    const message = `${key} is also in ${other.file}:${other.line}:${other.column}; keep one of the two`;
    return [{ document, problem: { severity: 'error', file, line, column, field: 'metadata.name', message } }];
  });
}

/** A stored manifest that this version of Posthorn can't read. */
export class ManifestError extends PosthornError {
  constructor(message: string) {
    super('MANIFEST_STORED', message);
  }
}

/** What of a Trigger is not in its manifest. */
export interface TriggerIdentity extends Pick<Trigger, 'uid' | 'generation' | 'owner'> {
  /** Where the manifest names no namespace. */
  readonly namespace: string;
}

/**
 * The Trigger that a stored manifest stands for. To be called again with the new Broker when that changes.
 * @param broker whose `delivery` a trigger without one takes; null: the default
 * @throws ManifestError
 */
export function triggerFromManifest(
  manifest: Manifest,
  identity: TriggerIdentity,
  broker: Broker | null,
): Omit<Trigger, 'laneSpans'> {
  const { uid, generation, owner, namespace } = identity;
  const settings = readStored(manifest, 'Trigger', (root) => readTrigger(root, { namespace, prefix: null }));
  const delivery = settings.delivery ?? broker?.delivery ?? defaultDelivery;
  return { ...settings, uid, generation, owner, delivery, manifest };
}

/**
 * The Broker that a stored manifest stands for.
 * @param namespace where the manifest names none
 * @throws ManifestError
 */
export function brokerFromManifest(manifest: Manifest, namespace: string): Broker {
  return { ...readStored(manifest, 'Broker', (root) => readBroker(root, { namespace, prefix: null })), manifest };
}

function readStored<Settings>(
  manifest: unknown,
  kind: 'Trigger' | 'Broker',
  read: (root: Field) => Settings,
): Settings {
  const errors: Finding[] = [];
  const add = (finding: Finding): void => void (finding.severity === 'error' && errors.push(finding));
  const root = new Field(manifest, [], { add, writtenAs: () => null });
  if (readKind(root) !== kind && errors.length === 0) root.error(`must be a ${kind}`);
  const settings = errors.length === 0 ? read(root) : undefined;
  if (settings !== undefined && errors.length === 0) return settings;
  const messages = errors.map(({ path, message }) => (path.length > 0 ? `${formatPath(path)}: ${message}` : message));
  throw new ManifestError(messages.join('; '));
}
