import { readFileSync } from 'node:fs';
import type { Draft } from '../lib/send.ts';

/** The parts of GitHub's webhook payloads that name the event; no payload has them all. */
interface Payload {
  readonly action?: string;
  readonly ref?: string;
  readonly repository?: { readonly html_url: string };
  readonly organization?: { readonly login: string };
  readonly sender?: { readonly html_url: string };
  readonly issue?: { readonly number: number };
  readonly pull_request?: { readonly number: number };
  readonly discussion?: { readonly number: number };
  readonly release?: { readonly tag_name: string };
}

/** One kind of GitHub event, such as `issues`, with real payloads of it. */
interface Kind {
  readonly name: string;
  readonly examples: readonly Payload[];
}

/** Sent before all others, so that every handler has something to print at once. */
const firstKinds = ['issues', 'pull_request', 'push', 'star'];

/** The real payloads of `@octokit/webhooks-examples`: one of each kind, then another of each, till all were given. */
export function* githubEvents(): Generator<Draft> {
  const file = new URL(import.meta.resolve('@octokit/webhooks-examples'));
  const kinds = JSON.parse(readFileSync(file, 'utf8')) as Kind[];
  const first = (name: string): number => firstKinds.indexOf(name) + 1 || firstKinds.length + 1;
  kinds.sort((one, other) => first(one.name) - first(other.name));
  const longest = Math.max(...kinds.map(({ examples }) => examples.length));
  for (let lap = 0; lap < longest; lap += 1) {
    for (const { name, examples } of kinds) {
      const payload = examples[lap];
      if (payload !== undefined) yield toDraft(name, payload);
    }
  }
}

/** The payload as an event: `com.github.<event>.<action>`, from the repository, or whose event it is instead. */
export function toDraft(event: string, payload: Payload): Draft {
  const type = ['com.github', event, payload.action].filter((part) => part !== undefined).join('.');
  const subject = subjectOf(payload);
  return { type, source: sourceOf(payload), ...(subject === undefined ? {} : { subject }), data: payload };
}

function sourceOf({ repository, organization, sender }: Payload): string {
  if (repository !== undefined) return repository.html_url;
  if (organization !== undefined) return `https://github.com/${organization.login}`;
  return sender?.html_url ?? 'https://github.com';
}

function subjectOf({ issue, pull_request, discussion, release, ref }: Payload): string | undefined {
  const number = issue?.number ?? pull_request?.number ?? discussion?.number;
  // Some payloads have an empty ref, which no subject may be.
  return number === undefined ? release?.tag_name || ref || undefined : String(number);
}
