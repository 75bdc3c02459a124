import { runExample } from '../lib/run-example.ts';
import { pageChanges } from './page-changes.ts';

await runExample(
  {
    folder: import.meta.dirname,
    command: 'npm run page-change --',
    defaults: {
      port: 8080,
      adminPort: 8081,
      servicePort: 9011,
      data: '.posthorn/page-change',
      events: 12,
      ratePerSecond: 1,
      patienceSeconds: 4,
    },
    services: [
      { label: 'wiki', runtime: 'python', file: 'wiki_api.py' },
      {
        label: 'enrich',
        runtime: 'python',
        file: 'handlers/enrich.py',
        trigger: 'page-change.yaml',
        env: (urlOf) => ({ WIKI_API: urlOf('wiki') }),
      },
      { label: 'show', runtime: 'php', file: 'handlers/show.php', trigger: 'page-content-change.yaml' },
    ],
    drafts: pageChanges,
    next: ({ ingress, admin, server }) => `What to try next, in another terminal:

1. Send a page change of your own; its enriched form is shown:

   curl -i ${ingress} -H 'content-type: application/json' \\
     -H 'ce-specversion: 1.0' -H 'ce-id: 1' -H 'ce-source: https://wiki.example.org' \\
     -H 'ce-type: mediawiki.page_change.v1' \\
     --data-binary @examples/page-change/events/2-create-post-horn.json

2. See the triggers:

   npx posthorn get triggers${server}

3. Send one whose revision the wiki doesn't know. The enricher answers 503, and Posthorn tries again, ever more slowly:

   sed 's/1002/1/' examples/page-change/events/2-create-post-horn.json |
     curl -i ${ingress} -H 'content-type: application/json' \\
       -H 'ce-specversion: 1.0' -H 'ce-id: 2' -H 'ce-source: https://wiki.example.org' \\
       -H 'ce-type: mediawiki.page_change.v1' --data-binary @-
   curl -s ${admin}/metrics | grep -E '^posthorn_retr(ies|y_backlog).* [1-9]'`,
  },
  process.argv.slice(2),
);
