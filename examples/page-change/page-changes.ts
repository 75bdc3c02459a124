import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Draft } from '../lib/send.ts';

/** The parts of a `mediawiki.page_change.v1` event that the CloudEvent repeats. */
interface PageChange {
  readonly meta: { readonly domain: string; readonly [field: string]: unknown };
  readonly page: { readonly page_title: string };
}

/** The page changes in `events/`, each with an id and a time of its own. */
export function* pageChanges(): Generator<Draft> {
  const folder = path.join(import.meta.dirname, 'events');
  for (const file of readdirSync(folder).sort()) {
    const change = JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as PageChange;
    const id = randomUUID();
    yield {
      id,
      source: `https://${change.meta.domain}`,
      type: 'mediawiki.page_change.v1',
      subject: change.page.page_title,
      data: { ...change, meta: { ...change.meta, id, dt: new Date().toISOString() } },
    };
  }
}
