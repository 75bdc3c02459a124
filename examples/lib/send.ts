import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

/** What is sent: an event, or what another service's webhook sends. */
export type Draft = EventDraft | WebhookDraft;

/** A request as it is. */
export interface WebhookDraft {
  /** Where Posthorn takes it, as `/github`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An event before it is sent; the sender gives it its time and the rest. */
export interface EventDraft {
  /** Made by the sender where absent. */
  readonly id?: string;
  readonly source: string;
  readonly type: string;
  readonly subject?: string;
  readonly data: unknown;
}

export interface Sent {
  readonly accepted: number;
  readonly refused: number;
}

/** Pause before an event that found Posthorn busy or away is sent again. */
const repeatMs = 1_000;

/**
 * POSTs the drafts, events in structured mode, one after the other at an even pace. One that could not be taken
 * now (503, no connection) is sent again with the same id; one that is refused is reported and left out.
 * @throws nothing but the abort of the signal
 */
export async function sendEvents(
  url: string,
  drafts: Iterable<Draft>,
  ratePerSecond: number,
  signal: AbortSignal,
  onRefused: (reason: string) => void,
): Promise<Sent> {
  let accepted = 0;
  let refused = 0;
  for (const draft of drafts) {
    const { path, headers, body } = 'path' in draft ? draft : structured(draft);
    const refusal = await post(new URL(path, url), headers, body, signal);
    if (refusal === null) accepted += 1;
    else {
      refused += 1;
      onRefused(`${'path' in draft ? path : draft.type}: ${refusal}`);
    }
    await delay(1_000 / ratePerSecond, undefined, { signal });
  }
  return { accepted, refused };
}

function structured(draft: EventDraft): WebhookDraft {
  const event = { specversion: '1.0', id: randomUUID(), time: new Date().toISOString(), ...draft };
  const body = JSON.stringify({ ...event, datacontenttype: 'application/json' });
  return { path: '/', headers: { 'content-type': 'application/cloudevents+json' }, body };
}

/** Null when the event was accepted, else why it never will be. */
async function post(
  url: URL,
  headers: WebhookDraft['headers'],
  body: string,
  signal: AbortSignal,
): Promise<string | null> {
  for (;;) {
    try {
      const response = await fetch(url, { method: 'POST', headers, body, signal });
      const answer = await response.text();
      if (response.status === 202) return null;
      if (response.status !== 503) return `${response.status} ${answer.trim()}`;
    } catch {
      signal.throwIfAborted();
    }
    await delay(repeatMs, undefined, { signal });
  }
}
