import { createHmac, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { WebhookDraft } from '../lib/send.ts';

/** What of GitHub's payloads the examples speak of; no payload has it all. */
interface Payload {
  readonly action?: string;
  readonly repository?: { readonly html_url: string };
}

/** One of GitHub's events, such as `issues`, with a real payload of it. */
export interface GithubEvent {
  readonly name: string;
  readonly payload: Payload;
}

interface Kind {
  readonly name: string;
  readonly examples: readonly Payload[];
}

/** Sent before all others, so that every handler has something to print at once. */
const firstKinds = ['issues', 'pull_request', 'push', 'star'];

/** The real payloads of `@octokit/webhooks-examples`: one of each kind, then another of each, till all were given. */
export function* githubEvents(): Generator<GithubEvent> {
  const file = new URL(import.meta.resolve('@octokit/webhooks-examples'));
  const kinds = JSON.parse(readFileSync(file, 'utf8')) as Kind[];
  const first = (name: string): number => firstKinds.indexOf(name) + 1 || firstKinds.length + 1;
  kinds.sort((one, other) => first(one.name) - first(other.name));
  const longest = Math.max(...kinds.map(({ examples }) => examples.length));
  for (let lap = 0; lap < longest; lap += 1) {
    for (const { name, examples } of kinds) {
      const payload = examples[lap];
      if (payload !== undefined) yield { name, payload };
    }
  }
}

/**
 * The same as GitHub posts them, signed.
 * @param secretFile holds the secret that both sides know
 */
export function* githubWebhooks(
  secretFile: string = path.join(import.meta.dirname, 'secrets/github'),
): Generator<WebhookDraft> {
  const secret = readFileSync(secretFile, 'utf8').trim();
  for (const { name, payload } of githubEvents()) {
    const body = JSON.stringify(payload);
    yield {
      path: '/github',
      headers: {
        'content-type': 'application/json',
        'x-github-event': name,
        'x-github-delivery': randomUUID(),
        'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
      },
      body,
    };
  }
}
