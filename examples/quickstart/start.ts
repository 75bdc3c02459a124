import { runExample } from '../lib/run-example.ts';
import { githubWebhooks } from './github-webhooks.ts';

await runExample(
  {
    folder: import.meta.dirname,
    command: 'npm start --',
    defaults: {
      port: 8080,
      adminPort: 8081,
      servicePort: 9001,
      data: '.posthorn/quickstart',
      events: 100,
      ratePerSecond: 4,
      patienceSeconds: 4,
    },
    services: [
      { label: 'Node', runtime: 'node', file: 'handlers/issues.mjs', trigger: 'issues.yaml' },
      { label: 'Python', runtime: 'python', file: 'handlers/pull_requests.py', trigger: 'pull-requests-opened.yaml' },
      { label: 'PHP', runtime: 'php', file: 'handlers/pushes.php', trigger: 'pushes-to-hello-world.yaml' },
      { label: 'Go', runtime: 'go', file: 'handlers/everything.go', trigger: 'everything-but-ci.yaml' },
    ],
    webhooks: 'webhooks.yaml',
    secrets: 'secrets',
    drafts: () => githubWebhooks(),
    next: ({ ingress, triggers, server, again }) => `What to try next, in another terminal:

1. Send an event of your own. The handlers in Node and Go print it:

   curl -i ${ingress} -H 'ce-specversion: 1.0' -H 'ce-id: 1' \\
     -H 'ce-source: https://github.com/me/mine' -H 'ce-type: com.github.issues.opened' \\
     -H 'content-type: application/json' \\
     -d '{"issue": {"number": 1, "title": "It works", "state": "open"}}'

2. See the triggers:

   npx posthorn get triggers${server}

3. Change one while all runs: in ${triggers}/issues.yaml write com.github.issue_comment.
   in place of com.github.issues. and save it, wait a few seconds, and send the event of 1 again:
   Node no longer prints it. Then write it back.

4. Send what the handler in Python refuses, and see the dead letter that it becomes:

   curl -i ${ingress} -H 'ce-specversion: 1.0' -H 'ce-id: 2' \\
     -H 'ce-source: https://github.com/me/mine' -H 'ce-type: com.github.pull_request.opened' \\
     -H 'content-type: application/json' -d '"not a pull request"'
   npx posthorn get dead-letters${server}

5. Send more, faster: end this, then

   ${again} --events 1000 --rate 100`,
  },
  process.argv.slice(2),
);
