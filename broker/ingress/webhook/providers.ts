import type { MappedName } from './webhook.ts';

/** What is known of a provider's webhooks: as a user would write it in the file of webhooks. */
export interface Provider {
  readonly verify: Readonly<Record<string, string>>;
  readonly attributes: Readonly<Partial<Record<MappedName, readonly string[]>>>;
}

const github: Provider = {
  verify: { scheme: 'hmac', header: 'X-Hub-Signature-256', prefix: 'sha256=' },
  attributes: {
    id: ['{header:X-GitHub-Delivery}'],
    type: ['com.github.{header:X-GitHub-Event}.{/action}', 'com.github.{header:X-GitHub-Event}'],
    source: [
      '/repository/html_url',
      'https://github.com/{/organization/login}',
      '/sender/html_url',
      'https://github.com',
    ],
    // The ref is what a push is about; of a release it is only where the tag was set.
    subject: ['/issue/number', '/pull_request/number', '/discussion/number', '/release/tag_name', '/ref'],
  },
};

const stripe: Provider = {
  verify: { scheme: 'stripe' },
  attributes: {
    id: ['/id'],
    type: ['com.stripe.{/type}'],
    source: ['https://api.stripe.com/v1/accounts/{/account}', 'https://api.stripe.com'],
    subject: ['/data/object/id'],
    time: ['/created'],
  },
};

/** The payload that Standard Webhooks recommends; where it comes from only its receiver knows. */
const standardWebhooks: Provider = {
  verify: { scheme: 'standard-webhooks' },
  attributes: { id: ['{header:webhook-id}'], type: ['/type'], time: ['/timestamp'] },
};

export const providers = { github, stripe, 'standard-webhooks': standardWebhooks } as const;
export type ProviderName = keyof typeof providers;
export const providerNames = Object.keys(providers) as ProviderName[];
