import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { format, inspect } from 'node:util';
import t from 'tap';
import { createLogger } from '../../runtime/logger.ts';
import { readSecrets, Secret, unknownSecret } from '../../runtime/secrets.ts';

t.test('each file of the directory is a secret, and each variable POSTHORN_SECRET_NAME', async (t) => {
  const mounted = t.testdir({ github: 'one\n', '..data': { orders: 'new\nold\n' }, '.hidden': 'no' });
  await symlink(join('..data', 'orders'), join(mounted, 'orders'));
  const secrets = await readSecrets(mounted, '--secrets', {
    POSTHORN_SECRET_SHOP_EU: 'three',
    POSTHORN_SECRETS: mounted,
  });
  t.strictSame(
    [...secrets].map(([name, secret]) => [name, ...secret.reveal()]),
    [
      ['shop-eu', 'three'],
      ['github', 'one'],
      ['orders', 'new', 'old'],
    ],
  );
});

t.test('what is wrong is said by name, and never shows the secret', async (t) => {
  const hidden = 'hunter2hunter2';
  for (const [files, env, words] of [
    [{ 'GitHub.key': hidden }, {}, /GitHub\.key: the name of the file is that of the secret, which has lower-case/],
    [{ github: `${hidden}\n${hidden}\n${hidden}\n` }, {}, /github: must hold one line, the secret itself, or two/],
    [{ github: `${hidden} \n` }, {}, /github: must hold one line.*outer spaces/],
    [{ github: '' }, {}, /github: must hold one line/],
    [{ github: hidden.repeat(400) }, {}, /github: must hold one line.*more than 4096 bytes/],
    [
      { github: hidden },
      { POSTHORN_SECRET_GITHUB: hidden },
      /github is given twice, as .*github and as POSTHORN_SECRET_GITHUB/,
    ],
    [{}, { POSTHORN_SECRET_: hidden }, /environment variable POSTHORN_SECRET_: a secret's name has lower-case letters/],
    [{}, { POSTHORN_SECRET_A: `${hidden}\n\n` }, /environment variable POSTHORN_SECRET_A: must hold one line/],
  ] as const) {
    const error = await readSecrets(t.testdir(files), '--secrets', env).catch((thrown: unknown) => thrown);
    t.match(error, { code: 'USAGE', message: words });
    t.notMatch(inspect(error), hidden);
  }
  const missing = join(t.testdir(), 'none');
  await t.rejects(readSecrets(missing, 'POSTHORN_SECRETS', {}), {
    message: `POSTHORN_SECRETS ${missing}: there is no such directory (ENOENT); name a directory with a file for each secret`,
  });
});

t.test('a secret prints as its name, however it is printed', (t) => {
  const secret = new Secret('github', ['hunter2', 'hunter1']);
  const lines: string[] = [];
  const logger = createLogger({ output: { write: (line) => void lines.push(line), flushSync: () => {} } });
  logger.error({ secret, err: new Error('with a cause', { cause: secret }) }, `with ${secret}`);
  const printed = [
    String(secret),
    JSON.stringify({ secret }),
    inspect({ secret }),
    inspect(secret, { showHidden: true }),
  ];
  printed.push(format('%s %o %O %j', secret, secret, secret, secret), ...lines);
  for (const text of printed) {
    t.match(text, '[secret github]');
    t.notMatch(text, 'hunter');
  }
  t.end();
});

t.test('a name that is unknown comes with the nearest', (t) => {
  const secrets = new Map([['github', new Secret('github', ['x'])]]);
  t.equal(unknownSecret('gihub', secrets), 'there is no secret gihub (known: github); did you mean github?');
  t.equal(
    unknownSecret('orders', new Map()),
    'there is no secret orders (none is configured); put it into the directory of --secrets',
  );
  t.end();
});
