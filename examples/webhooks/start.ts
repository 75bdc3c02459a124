import path from 'node:path';
import { runExample } from '../lib/run-example.ts';
import { githubWebhooks } from '../quickstart/github-webhooks.ts';

const secrets = path.join(import.meta.dirname, 'secrets');

await runExample(
  {
    folder: import.meta.dirname,
    command: 'npm run webhooks --',
    defaults: {
      port: 8080,
      adminPort: 8081,
      servicePort: 9021,
      data: '.posthorn/webhooks',
      events: 40,
      ratePerSecond: 10,
      patienceSeconds: 4,
    },
    services: [{ label: 'verify', runtime: 'python', file: 'handlers/verify.py', trigger: 'issues.yaml' }],
    webhooks: 'webhooks.yaml',
    secrets: 'secrets',
    drafts: () => githubWebhooks(path.join(secrets, 'github')),
    next: ({ ingress, server }) => `What to try next, in another terminal:

1. Send a webhook as GitHub does, signed with the secret that is in secrets/github; it is delivered with a signature too:

   curl -i ${ingress}github -H 'content-type: application/json' \\
     -H 'X-GitHub-Event: issues' -H 'X-GitHub-Delivery: 1' \\
     -H "X-Hub-Signature-256: sha256=$(openssl dgst -sha256 -r \\
       -hmac "$(cat examples/webhooks/secrets/github)" examples/webhooks/issue.json | cut -d' ' -f1)" \\
     --data-binary @examples/webhooks/issue.json

2. Send one that is signed with another secret. It is refused:

   curl -i ${ingress}github -H 'content-type: application/json' \\
     -H 'X-GitHub-Event: issues' -H 'X-GitHub-Delivery: 2' \\
     -H "X-Hub-Signature-256: sha256=$(openssl dgst -sha256 -r \\
       -hmac another examples/webhooks/issue.json | cut -d' ' -f1)" \\
     --data-binary @examples/webhooks/issue.json

3. See the trigger, which names the secret of its deliveries:

   npx posthorn get trigger issues -o yaml${server}`,
  },
  process.argv.slice(2),
);
