// Answers a new revision with the page and its text, which the wiki's API is asked for. Alone:
// PORT=9021 WIKI_API=http://127.0.0.1:9011 node enrich.mjs
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

const wikiApi = process.env.WIKI_API ?? 'http://127.0.0.1:9011';
const stream = 'mediawiki.page_content_change.v1';

createServer(async (request, response) => {
  const revision = readRevision(await text(request));
  // What is no revision goes to the dead letters.
  if (revision === null) return response.writeHead(400).end();
  const { meta, database, page_id, page_title, rev_id } = revision;
  try {
    const found = await fetch(`${wikiApi}/revision/${rev_id}`);
    // Here and below: the API is away, or has not got the revision yet, and Posthorn tries again later.
    if (!found.ok) return response.writeHead(503).end();
    const { source } = await found.json();
    // Made of the first event's id: should that be delivered twice, both answers are the same event.
    const id = `${meta.id}-content`;
    const change = {
      $schema: '/mediawiki/page/change/1.2.0',
      meta: { ...meta, stream, id },
      wiki_id: database,
      page: { page_id, page_title },
      revision: { rev_id, content_slots: { main: { content_body: source } } },
    };
    console.log(`enriched revision ${rev_id} of ${page_title}`);
    const attributes = {
      'ce-specversion': '1.0',
      'ce-id': id,
      'ce-source': '/examples/kafka-topics',
      'ce-type': stream,
    };
    response.writeHead(200, { ...attributes, 'content-type': 'application/json' }).end(JSON.stringify(change));
  } catch {
    response.writeHead(503).end();
  }
}).listen(Number(process.env.PORT ?? 9021), '127.0.0.1');

function readRevision(body) {
  try {
    const revision = JSON.parse(body);
    return typeof revision?.meta?.id === 'string' && Number.isInteger(revision.rev_id) ? revision : null;
  } catch {
    return null;
  }
}
