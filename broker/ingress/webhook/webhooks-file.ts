import { readFile } from 'node:fs/promises';
import { UsageError } from '../../../runtime/errors.ts';
import { fileProblem } from '../../../runtime/file-problem.ts';
import type { Secrets } from '../../../runtime/secrets.ts';
import { describe, Field, type Finding, formatPath } from '../../trigger/manifest-field.ts';
import { readYaml } from '../../trigger/manifest-yaml.ts';
import type { BrokerName } from '../../trigger/trigger.ts';
import { type Provider, providerNames, providers } from './providers.ts';
import { readVerification } from './read-verification.ts';
import { parseRequestText, type RequestText } from './text.ts';
import { type MappedName, mappedNames, type Webhook } from './webhook.ts';

export const entryFields = ['path', 'broker', 'provider', 'secret', 'verify', ...mappedNames];

/**
 * Reads the file of webhooks, whose form docs/webhooks.md has.
 * @param place what names the file, for messages (`--webhooks`)
 * @throws UsageError with every problem of the file: line, field, what would be right
 */
export async function readWebhooksFile(file: string, place: string, secrets: Secrets): Promise<readonly Webhook[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const right = 'name a YAML file with a list "webhooks"';
    throw new UsageError(`${place} ${file}: ${fileProblem(error, 'file')}; ${right}`, { cause: error });
  });
  const { webhooks, problems } = parseWebhooks(text, secrets);
  if (problems.length > 0) throw new UsageError(problems.map((problem) => `${file}:${problem}`).join('\n'));
  return webhooks;
}

/** Pure. @returns what is right, and what is wrong as `LINE:COLUMN: FIELD: words` */
export function parseWebhooks(text: string, secrets: Secrets): { webhooks: Webhook[]; problems: string[] } {
  const { documents, errors } = readYaml(text);
  const [document] = documents;
  const problems = [...errors, ...(document?.errors ?? [])].map(
    ({ line, column, field, message }) => `${line}:${column}: ${field === '' ? '' : `${field}: `}${message}`,
  );
  if (document === undefined || documents.length > 1) {
    if (problems.length === 0) problems.push('1:1: must be one YAML document with a list "webhooks"');
    return { webhooks: [], problems };
  }
  const findings: Finding[] = [];
  const root = new Field(document.value, [], {
    add: (finding) => void findings.push(finding),
    writtenAs: document.writtenAs,
  });
  const webhooks = readRoot(root, secrets);
  for (const { path, at, offset, message } of findings) {
    const { line, column } = document.locate(path, at, offset);
    problems.push(`${line}:${column}: ${formatPath(path)}: ${message}`);
  }
  return { webhooks, problems };
}

function readRoot(root: Field, secrets: Secrets): Webhook[] {
  root.object(['webhooks']);
  const list = root.field('webhooks');
  if (!list.present) list.error('missing; must be a list of webhooks, each with a path', 'key');
  const paths = new Set<string>();
  return (list.list() ?? []).flatMap((entry) => {
    const webhook = readEntry(entry, secrets);
    if (webhook === undefined) return [];
    if (paths.has(webhook.path)) entry.field('path').error(`${webhook.path} is the path of another webhook above`);
    paths.add(webhook.path);
    return [webhook];
  });
}

function readEntry(entry: Field, secrets: Secrets): Webhook | undefined {
  if (!entry.object(entryFields)) return undefined;
  const path = readPath(entry.field('path'));
  const name = entry.field('provider').oneOf(providerNames);
  const provider: Provider | undefined = name && providers[name];
  const verification = readVerification(entry, provider, secrets);
  const broker = readBroker(entry.field('broker'));
  const attributes = {} as Record<MappedName, readonly RequestText[]>;
  for (const attribute of mappedNames) {
    attributes[attribute] = readTexts(entry.field(attribute), provider?.attributes[attribute] ?? []);
  }
  for (const required of ['type', 'source'] as const) {
    const field = entry.field(required);
    if (attributes[required].length > 0 || field.present) continue;
    field.error(
      'missing; must be a text, as com.example.{/event}, or a list of which the first that is whole counts',
      'key',
    );
  }
  if (path === undefined || verification === undefined || broker === undefined) return undefined;
  return { path, broker, verification, attributes };
}

/** What the router takes as it is, without parameters. */
const pathPattern = /^(?:\/[A-Za-z0-9._~-]+)+$/;

function readPath(field: Field): string | undefined {
  if (!field.present) return field.error('missing; must be a path, as /github', 'key');
  const text = field.text();
  if (text === undefined || (pathPattern.test(text) && text !== callbackPath)) return text;
  return field.error(`must be a path of letters, digits, -, ., _ and ~, as /github, found ${describe(text)}`);
}

/** Where permissions come in (server.ts). */
const callbackPath = '/webhook-callback';

function readBroker(field: Field): BrokerName | undefined {
  if (!field.present) return { namespace: 'default', name: 'default' };
  const text = field.text();
  if (text === undefined) return undefined;
  const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
  const [, namespace = 'default', name] = new RegExp(`^(?:(${label})/)?(${label})$`).exec(text) ?? [];
  if (name !== undefined) return { namespace, name };
  return field.error(`must be the name of a Broker, as orders or shop/orders, found ${describe(text)}`);
}

function readTexts(field: Field, fallback: readonly string[]): RequestText[] {
  const fields = Array.isArray(field.value) ? (field.list() ?? []) : field.present ? [field] : null;
  if (fields === null) return fallback.flatMap((text) => parsed(text, (problem) => field.error(problem)));
  return fields.flatMap((one) => {
    const text = one.givenText();
    return text === undefined ? [] : parsed(text, (problem) => one.error(problem));
  });
}

function parsed(text: string, report: (problem: string) => void): RequestText[] {
  const parts = parseRequestText(text);
  if (!('problem' in parts)) return [parts];
  report(parts.problem);
  return [];
}
