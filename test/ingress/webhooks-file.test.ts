import { join } from 'node:path';
import t from 'tap';
import { parseWebhooks, readWebhooksFile } from '../../broker/ingress/webhook/webhooks-file.ts';
import { Secret } from '../../runtime/secrets.ts';

const secrets = new Map([['github', new Secret('github', ['hunter2hunter2'])]]);

function problemsOf(text: string): string[] {
  return parseWebhooks(text, secrets).problems;
}

const right = '{ path: /a, verify: { scheme: none }, type: x, source: https://example.com }';

t.test('what is wrong is said with its place, and what would be right', (t) => {
  const cases: [string, string | RegExp][] = [
    ['webhook: []', '1:1: webhook: unknown field; did you mean webhooks?'],
    ['- 1', /must be an object, found a list/],
    ['webhooks: x', '1:11: webhooks: must be a list, found "x"'],
    ['{}', '1:1: webhooks: missing; must be a list of webhooks, each with a path'],
    ['webhooks: [{ paht: /a }]', /webhooks\[0\]\.paht: unknown field; did you mean path\?/],
    ['webhooks: [{ provider: github, secret: github }]', /path: missing; must be a path, as \/github/],
    ['webhooks: [{ path: a, provider: github, secret: github }]', /must be a path of letters.*found "a"/],
    ['webhooks: [{ path: "/:a", provider: github, secret: github }]', /must be a path of letters/],
    ['webhooks: [{ path: /webhook-callback, provider: github, secret: github }]', /must be a path of letters/],
    ['webhooks: [{ path: /, provider: github, secret: github }]', /must be a path of letters/],
    [
      'webhooks: [{ path: /a, provider: githib, secret: github }]',
      /must be github or stripe or .*did you mean github\?/,
    ],
    ['webhooks: [{ path: /a, provider: github }]', /secret: missing; must be the name of the secret/],
    [
      'webhooks: [{ path: /a, provider: github, secret: gihub }]',
      /there is no secret gihub \(known: github\); did you mean github/,
    ],
    [
      'webhooks: [{ path: /a, provider: standard-webhooks, secret: github, source: x }]',
      /is whsec_ and 24 to 64 bytes/,
    ],
    ['webhooks: [{ path: /a, type: x, source: y }]', /verify: missing; must say how its requests are verified/],
    ['webhooks: [{ path: /a, type: x, source: y, verify: {} }]', /scheme: missing; must be none or hmac or stripe/],
    [
      'webhooks: [{ path: /a, type: x, source: y, verify: { scheme: mac } }]',
      /must be none or hmac.*did you mean hmac\?/,
    ],
    [
      'webhooks: [{ path: /a, type: x, source: y, secret: github, verify: { scheme: none } }]',
      /secret: no effect, since verify says none/,
    ],
    [
      'webhooks: [{ path: /a, type: x, source: y, secret: github, verify: { scheme: hmac } }]',
      /header: missing; must be the header with the signature/,
    ],
    [
      'webhooks: [{ path: /a, type: x, source: y, secret: github, verify: { scheme: stripe, prefix: x } }]',
      /prefix: unknown field/,
    ],
    [
      'webhooks: [{ path: /a, type: x, source: y, secret: github, verify: { scheme: hmac, header: X, signed: "{header:T}" } }]',
      /must have \{body\} once/,
    ],
    [
      'webhooks: [{ path: /a, type: x, source: y, secret: github, verify: { scheme: hmac, header: X, signed: "{url}{body}" } }]',
      /has "url" in braces; there may be \{body\} and \{header:NAME\}/,
    ],
    [
      'webhooks: [{ path: /a, type: x, source: y, secret: github, verify: { scheme: hmac, header: X, timestampHeader: T } }]',
      /timestampHeader: must be signed too, or anybody could change it/,
    ],
    ['webhooks: [{ path: /a, verify: { scheme: none }, source: y }]', /type: missing; must be a text, as com\.example/],
    [
      'webhooks: [{ path: /a, verify: { scheme: none }, type: "{x}", source: y }]',
      /neither header:NAME nor a JSON pointer/,
    ],
    ['webhooks: [{ path: /a, verify: { scheme: none }, type: "x}", source: y }]', /has a brace without its other one/],
    ['webhooks: [{ path: /a, verify: { scheme: none }, type: ["", x], source: y }]', /type\[0\]: is empty/],
    ['webhooks: [{ path: /a, verify: { scheme: none }, type: "{/a~2}", source: y }]', /nor a JSON pointer/],
    [
      `webhooks: [{ path: /a, broker: A/b, verify: { scheme: none }, type: x, source: y }]`,
      /must be the name of a Broker/,
    ],
    [`webhooks: [${right}, ${right}]`, /webhooks\[1\]\.path: \/a is the path of another webhook above/],
    [`webhooks: [${right}]\n---\nwebhooks: []`, '1:1: must be one YAML document with a list "webhooks"'],
    ['webhooks: [', /^1:\d+: not YAML/],
  ];
  for (const [text, said] of cases) {
    const problems = problemsOf(text);
    t.ok(
      problems.some((problem) => (typeof said === 'string' ? problem === said : said.test(problem))),
      `${text}\n${problems.join('\n')}`,
    );
  }
  t.end();
});

t.test('a secret in place of its name is not shown', (t) => {
  const text = 'webhooks: [{ path: /a, provider: github, secret: It_is_a_Secret }]';
  t.match(problemsOf(text), [/must be the name of a secret of --secrets/]);
  t.notMatch(problemsOf(text).join(), 'It_is');
  t.end();
});

t.test('the file is named in each problem; one that is not there, too', async (t) => {
  const file = join(t.testdir({ 'webhooks.yaml': 'webhooks:\n  - path: a\n' }), 'webhooks.yaml');
  await t.rejects(readWebhooksFile(file, '--webhooks', secrets), {
    code: 'USAGE',
    message: new RegExp(`^${file}:2:11: webhooks\\[0\\]\\.path: must be a path`),
  });
  const missing = join(t.testdir(), 'none.yaml');
  await t.rejects(readWebhooksFile(missing, '--webhooks', secrets), {
    message: `--webhooks ${missing}: there is no such file (ENOENT); name a YAML file with a list "webhooks"`,
  });
});
