import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { SchemaFetcher } from '../../broker/schema/fetch.ts';
import { freshness, registryLimits, SchemaRegistry } from '../../broker/schema/registry.ts';
import { ManualClock } from '../support/manual-clock.ts';

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

const json = (schema: unknown, headers: Record<string, string> = {}): Handle => {
  return (_request, response) => void response.writeHead(200, headers).end(JSON.stringify(schema));
};
const status = (code: number, headers: Record<string, string> = {}): Handle => {
  return (_request, response) => void response.writeHead(code, headers).end();
};

async function setUp(t: Test, timeoutMs?: number) {
  const paths = new Map<string, Handle>();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.url}${request.headers['if-none-match'] ?? ''}`);
    (paths.get(request.url ?? '') ?? status(404))(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const lines: Record<string, unknown>[] = [];
  const clock = new ManualClock();
  const logger = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const fetcher = new SchemaFetcher(timeoutMs);
  const registry = new SchemaRegistry({ base: `${origin}/v1`, clock, logger, fetcher });
  t.teardown(async () => {
    await registry.close();
    server.closeAllConnections();
    server.close();
  });
  return {
    ...{ paths, asked, origin, registry, clock, lines },
    /** What the schema says of the data, or what there is in its place. */
    async said(path: string, data: unknown = {}) {
      const found = await registry.find(`${origin}/v1${path}`);
      return found.kind === 'schema' ? found.schema.violations(data, 0).map(({ detail }) => detail) : found;
    },
  };
}

const closed = { additionalProperties: false };
const forbids = ['is a property that the schema does not have'];

t.test('a schema is fetched once, with what it refers to, and known until max-age is over', async (t) => {
  const { paths, asked, said, clock } = await setUp(t);
  paths.set('/v1/a/1.json', json({ $ref: '../b.json', $id: '/a/1' }, { 'cache-control': 'public, max-age=60' }));
  paths.set('/v1/b.json', json({ ...closed, allOf: [{ $ref: '/c' }] }, { 'cache-control': 'max-age=600', age: '570' }));
  paths.set('/v1/c', json({ $schema: 'https://json-schema.org/draft/2020-12/schema' }));
  const both = await Promise.all([said('/a/1.json', { a: 1 }), said('/a/1.json', { a: 1 })]);
  t.strictSame(both, [forbids, forbids]);
  t.strictSame(asked, ['/v1/a/1.json', '/v1/b.json', '/v1/c']);
  await clock.advance(29_000);
  t.strictSame(await said('/a/1.json', { a: 1 }), forbids);
  t.equal(asked.length, 3);
  await clock.advance(2_000);
  await said('/a/1.json');
  t.equal(asked.length, 6);
});

t.test('it is asked about by its ETag, and what has changed holds', async (t) => {
  const { paths, asked, said, clock } = await setUp(t);
  const version =
    (etag: string, schema: unknown): Handle =>
    (request, response) =>
      (request.headers['if-none-match'] === etag ? status(304) : json(schema, { etag, 'cache-control': 'no-cache' }))(
        request,
        response,
      );
  paths.set('/v1/a', version('"1"', {}));
  t.strictSame(await said('/a', { a: 1 }), []);
  await clock.advance(freshness.leastMs - 1);
  t.strictSame(await said('/a', { a: 1 }), []);
  t.strictSame(asked, ['/v1/a'], 'not for each event, even so');
  await clock.advance(1);
  t.strictSame(await said('/a', { a: 1 }), []);
  paths.set('/v1/a', version('"2"', closed));
  await clock.advance(freshness.unsaidMs);
  t.strictSame(await said('/a', { a: 1 }), forbids);
  t.strictSame(asked, ['/v1/a', '/v1/a"1"', '/v1/a"1"']);
});

t.test('while the registry is down what was known counts on, and of the rest nothing is said', async (t) => {
  const { paths, asked, said, clock, lines } = await setUp(t, 500);
  paths.set('/v1/a', json(closed));
  t.strictSame(await said('/a', { a: 1 }), forbids);
  for (const down of [status(503), status(429), status(401), (() => {}) as Handle]) {
    paths.set('/v1/a', down);
    paths.set('/v1/b', down);
    await clock.advance(freshness.unsaidMs);
    t.strictSame(await said('/a', { a: 1 }), forbids);
    t.match(await said('/b'), {
      kind: 'unavailable',
      reason: /does not answer for .*\/b: (?:it answers|no answer within 0\.5 s)/,
    });
    const before = asked.length;
    t.match(await said('/b'), { kind: 'unavailable' });
    t.strictSame(await said('/a', { a: 1 }), forbids);
    t.equal(asked.length, before, 'it is not asked for each event');
  }
  t.equal(lines.filter(({ level }) => level === 40).length, 1, 'it is said once');
  paths.set('/v1/b', json({}));
  await clock.advance(freshness.failedMs);
  t.strictSame(await said('/b'), []);
  t.match(lines.at(-1), { msg: 'the schema registry answers again' });
});

t.test(
  'that there is none is remembered for a minute, and a schema that is deleted is not known any more',
  async (t) => {
    const { paths, asked, said, clock } = await setUp(t);
    t.strictSame(await said('/a'), { kind: 'unknown' });
    paths.set('/v1/a', json({}));
    await clock.advance(freshness.absentMs - 1);
    t.strictSame(await said('/a'), { kind: 'unknown' });
    t.equal(asked.length, 1);
    await clock.advance(1);
    t.strictSame(await said('/a'), []);
    paths.set('/v1/a', status(403));
    await clock.advance(freshness.unsaidMs);
    t.strictSame(await said('/a'), { kind: 'unknown' });
  },
);

t.test('what is there and is no schema is unknown, or what it was before', async (t) => {
  const { paths, said, clock, lines, origin } = await setUp(t);
  const page: Handle = (_request, response) => void response.end('<html>');
  for (const [path, handle] of Object.entries({
    '/page': page,
    '/wrong': json({ type: 'x' }),
    '/long': json('x'.repeat(1_100_000)),
    '/moved': status(302, { location: `${origin}/v1/good` }),
    '/out': json({ $ref: `${origin}/secret` }),
    '/lost': json({ $ref: 'gone' }),
  })) {
    paths.set(`/v1${path}`, handle);
    t.strictSame(await said(path), { kind: 'unknown' }, path);
  }
  t.equal(lines.filter(({ level }) => level === 40).length, 1, 'a producer can name any number of such pages');
  paths.set('/v1/good', json(closed));
  t.strictSame(await said('/good', { a: 1 }), forbids);
  paths.set('/v1/good', page);
  await clock.advance(freshness.unsaidMs);
  t.strictSame(await said('/good', { a: 1 }), forbids);
  t.match(lines.at(-1), { level: 40, msg: /can't be used; the schema that was there before counts on/ });
});

t.test('nothing is asked for but what lies below the base, whoever names it', async (t) => {
  const { registry, origin, paths, asked, said } = await setUp(t);
  const holds = (url: string): boolean => registry.holds(new URL(url));
  t.ok(holds(`${origin}/v1/a/b.json`));
  for (const url of [
    `${origin}/v1`,
    `${origin}/v1/`,
    `${origin}/v2/a`,
    `${origin}/v1evil/a`,
    `${origin}/v1/../v2/a`,
    `${origin}/v1/%2e%2e/a`,
    `${origin}/v1/..%2fa`,
    `${origin}/v1/a%5c..%5cb`,
    `${origin}/v1/a?x=1`,
    `${origin.replace('http://', 'http://user:pw@')}/v1/a`,
    `https://127.0.0.1/v1/a`,
    'http://169.254.169.254/latest/meta-data',
    'file:///etc/passwd',
    `${origin}/v1/${'a'.repeat(registryLimits.urlCharactersMax)}`,
  ]) {
    t.notOk(holds(url), url);
  }
  paths.set('/v1/a', json({ allOf: [{ $ref: 'http://169.254.169.254/x' }, { $ref: `${origin}/v2/b` }] }));
  await said('/a');
  t.strictSame(asked, ['/v1/a']);
});

t.test('what is remembered has its bounds', async (t) => {
  const { paths, asked, said, registry, origin } = await setUp(t);
  const chain = registryLimits.referencesMax + 1;
  for (let n = 0; n <= chain; n++) paths.set(`/v1/chain/${n}`, json(n === chain ? {} : { $ref: String(n + 1) }));
  t.strictSame(await said('/chain/0'), { kind: 'unknown' });
  t.ok(asked.length <= registryLimits.referencesMax + 1);
  paths.set('/v1/slow', () => {});
  const loads = Array.from({ length: registryLimits.loadsMax }, (_, n) => registry.find(`${origin}/v1/slow/${n}`));
  t.ok(loads.every((load) => load instanceof Promise));
  t.match(registry.find(`${origin}/v1/one-more`), {
    kind: 'unavailable',
    reason: /more than 100 schemas are being fetched/,
  });
  await Promise.all(loads);
});
