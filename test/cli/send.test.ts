import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { Tally } from '../../cli/send/tally.ts';
import { decodeHttp } from '../../event/http.ts';
import { serveAdmin } from '../console/setup.ts';
import { posthorn } from '../support/cli.ts';
import { type SinkAnswer, type SinkRequest, startSink } from '../support/sink.ts';
import { until } from '../support/until.ts';

async function sinkFor(t: Test, answer?: (request: SinkRequest) => SinkAnswer | Promise<SinkAnswer>) {
  const sink = await startSink(answer ?? (() => ({ status: 202 })));
  t.teardown(() => sink.close());
  return sink;
}

function eventOf(request: SinkRequest | undefined) {
  const event = request && decodeHttp(request.rawHeaders, request.body).events[0];
  return { time: undefined, ...event?.attributes, data: event?.data?.toString() };
}

const refusing = (detail: string): SinkAnswer => ({
  status: 400,
  headers: { 'content-type': 'application/problem+json' },
  body: JSON.stringify({ title: 'Bad Request', detail }),
});

t.test('one event from flags arrives with the attributes given and defaults for the rest', async (t) => {
  const sink = await sinkFor(t);
  const args = ['send', '--url', sink.url, '--type', 'com.example.order.created'];
  const sent = await posthorn([
    ...args,
    '--data',
    '{"order": 17}',
    '-e',
    'city=Zürich "Süd"',
    '--subject',
    'orders/17',
  ]);
  t.match(sent, { code: 0, stdout: /^1 event accepted in \d+\.\d s\n$/, stderr: '' });
  const [request] = sink.requests;
  t.match(request, { method: 'POST', path: '/default/default' });
  const { id, time, ...rest } = eventOf(request);
  t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  t.ok(Math.abs(Date.parse(time ?? '') - Date.now()) < 60_000, 'time is now');
  t.strictSame(rest, {
    specversion: '1.0',
    source: '/posthorn/send',
    type: 'com.example.order.created',
    subject: 'orders/17',
    datacontenttype: 'application/json',
    city: 'Zürich "Süd"',
    data: '{"order": 17}',
  });

  await posthorn([
    ...args,
    '-n',
    'shop',
    '--broker',
    'orders',
    '--id',
    '7',
    '--source',
    '/x',
    '--time',
    '2026-01-01T00:00:00Z',
  ]);
  t.equal(sink.requests[1]?.path, '/shop/orders');
  t.strictSame(eventOf(sink.requests[1]), {
    specversion: '1.0',
    id: '7',
    source: '/x',
    type: 'com.example.order.created',
    time: '2026-01-01T00:00:00Z',
    data: undefined,
  });
});

t.test('data comes from the flag, a file or standard input, byte for byte, with a type that fits', async (t) => {
  const sink = await sinkFor(t);
  const binary = Buffer.from([0, 255, 10, 13]);
  const file = join(t.testdir(), 'data.bin');
  await writeFile(file, binary);
  const args = ['send', '--url', sink.url, '--type', 'a', '--data'];
  await posthorn([...args, `@${file}`]);
  await posthorn([...args, '-'], { stdin: '12345678901234567890' });
  await posthorn([...args, 'plain words']);
  await posthorn([...args, '<a/>', '--content-type', 'application/xml']);
  await posthorn([...args, '']);
  t.strictSame(
    sink.requests.map(({ headers, body }) => [headers['content-type'], body]),
    [
      ['application/octet-stream', binary],
      ['application/json', Buffer.from('12345678901234567890')],
      ['text/plain; charset=utf-8', Buffer.from('plain words')],
      ['application/xml', Buffer.from('<a/>')],
      ['text/plain; charset=utf-8', Buffer.alloc(0)],
    ],
  );
});

t.test('an event repeated by --count has an id of its own each time', async (t) => {
  const sink = await sinkFor(t);
  const { stdout } = await posthorn(['send', '--url', sink.url, '--type', 'a', '--count', '50']);
  t.match(stdout, /^50 events accepted/);
  t.equal(new Set(sink.requests.map((request) => eventOf(request).id)).size, 50);
});

t.test('every line of a file goes out as it stands', async (t) => {
  const sink = await sinkFor(t);
  const lines = [
    '{"specversion":"1.0","id":"1","source":"/s","type":"t","data":12345678901234567890}',
    '{"specversion":"1.0","id":"2","source":"/s","type":"t","data":"one\u2028line"}',
    ' {"specversion":"1.0","id":"3","source":"/s","type":"t"} ',
  ];
  const file = join(t.testdir(), 'events.ndjson');
  await writeFile(file, `\ufeff${lines[0]}\r\n\n  \n${lines[1]}\n${lines[2]}`);
  for (const [name, stdin] of [
    [file, ''],
    ['-', `${lines.join('\n')}\n`],
  ] as const) {
    sink.requests.length = 0;
    const sent = await posthorn(['send', '--url', sink.url, '--file', name], { stdin });
    t.match(sent, { code: 0, stdout: /^3 events accepted/ }, name);
    t.strictSame(sink.requests.map(({ body }) => body.toString()).sort(), [...lines].sort(), name);
    for (const request of sink.requests) t.match(request.headers['content-type'], 'application/cloudevents+json');
  }
});

t.test('what is refused is counted by reason, with the lines where it stood, and the exit code is 1', async (t) => {
  const sink = await sinkFor(t, ({ body }) => {
    const { id, source } = JSON.parse(body.toString());
    if (source === undefined) return refusing('the required attribute source is missing');
    return id === '' ? refusing('attribute id is "": it must not be empty') : { status: 202 };
  });
  const line = (id: string, source?: string): string => JSON.stringify({ specversion: '1.0', id, source, type: 't' });
  const stdin = [line('1', '/'), line('2'), line('', '/'), line('3'), line('4'), line('5'), line('6', '/')].join('\n');
  const sent = await posthorn(['send', '--url', sink.url, '--file', '-', '--concurrency', '1'], { stdin });
  t.equal(sent.code, 1);
  t.match(
    sent.stdout,
    /^2 events accepted in [^\n]+, 5 refused:\n {2}4 × 400 the required attribute source is missing \(line 2, line 4, line 5, …\)\n {2}1 × 400 attribute id is "": it must not be empty \(line 3\)\n$/,
  );
});

t.test('reasons that quote the event do not make the summary as long as the file', async (t) => {
  const tally = new Tally();
  for (let n = 1; n <= 1_000; n++) tally.refuse(`line ${n}`, `400 attribute id is "${n}"`);
  const lines = tally.summary(1_000).trimEnd().split('\n');
  t.equal(lines.length, 22);
  t.match(lines[1], /^ {2}980 × for other reasons \(line 21, line 22, line 23, …\)$/);
});

t.test('each JSON file of a directory is the data of an event, its path gives type and subject', async (t) => {
  const sink = await sinkFor(t);
  const directory = t.testdir({ 'ping.json': '{}', orders: { 'created.json': '{"n":1}', 'notes.txt': 'no event' } });
  const sent = await posthorn([
    'send',
    '--url',
    sink.url,
    '--dir',
    directory,
    '--concurrency',
    '1',
    '--source',
    '/shop',
  ]);
  t.match(sent, { code: 0, stdout: /^2 events accepted/ });
  t.match(sink.requests.map(eventOf), [
    { type: 'orders.created', subject: 'orders/created.json', source: '/shop', data: '{"n":1}' },
    { type: 'ping', subject: 'ping.json', datacontenttype: 'application/json', data: '{}' },
  ]);
  sink.requests.length = 0;
  await posthorn(['send', '--url', sink.url, '--dir', directory, '--type', 'com.example.any']);
  t.strictSame(
    sink.requests.map((request) => eventOf(request).type),
    ['com.example.any', 'com.example.any'],
  );
});

t.test('a file of a directory that is not JSON is refused with its place, and the others are sent', async (t) => {
  const sink = await sinkFor(t);
  const directory = t.testdir({
    'broken.json': '{\n  "città": ü}\n',
    'cut.json': '{"n": [1, 2',
    'empty.json': '',
    nested: { 'empty.json': '' },
    'marked.json': '\ufeff{"n":1}',
    'whole.json': '{"n":2}',
  });
  await writeFile(join(directory, 'latin1.json'), Buffer.from('"caf\xe9"', 'latin1'));
  const sent = await posthorn(['send', '--url', sink.url, '--dir', directory, '--concurrency', '1']);
  t.equal(sent.code, 1);
  t.match(sent.stdout, /^2 events accepted in [^\n]+, 5 refused:\n/);
  t.strictSame(sent.stdout.split('\n').slice(1), [
    '  2 × the file is empty, which is not JSON (empty.json, nested/empty.json)',
    '  1 × not JSON at 2:12: "ü" at byte 14, a value was to come (broken.json)',
    '  1 × not JSON at 1:12: the text ends at byte 11, "," or "]" was to come (cut.json)',
    '  1 × not JSON: the text is not valid UTF-8 (latin1.json)',
    '',
  ]);
  t.match(sink.requests.map(eventOf), [
    { type: 'marked', datacontenttype: 'application/json', data: '{"n":1}' },
    { type: 'whole', data: '{"n":2}' },
  ]);
  sink.requests.length = 0;
  const args = ['send', '--url', sink.url, '--dir', directory, '--content-type', 'application/octet-stream'];
  t.match(await posthorn(args), { code: 0, stdout: /^7 events accepted/ }, 'what is not said to be JSON need not be');
});

t.test('no more requests than asked for are in flight, and no more input is read than they need', async (t) => {
  let inFlight = 0;
  let most = 0;
  const release = new AbortController();
  const sink = await sinkFor(t, async () => {
    most = Math.max(most, ++inFlight);
    if (!release.signal.aborted) await new Promise((resolve) => release.signal.addEventListener('abort', resolve));
    inFlight -= 1;
    return { status: 202 };
  });
  let linesRead = 0;
  const input = Readable.from(
    (function* () {
      for (; linesRead < 2_000; linesRead++) yield Buffer.from(`{"n":${linesRead}}\n`);
    })(),
  );
  const sending = posthorn(['send', '--url', sink.url, '--file', '-', '--concurrency', '4'], { stdin: input });
  await until(() => inFlight === 4, 'four requests are in flight');
  t.ok(linesRead < 100, `${linesRead} of 2,000 lines were read while nothing was answered`);
  release.abort();
  t.match(await sending, { code: 0, stdout: /^2,000 events accepted/ });
  t.equal(most, 4);
});

t.test('--rate holds the pace', async (t) => {
  const sink = await sinkFor(t);
  const startMs = performance.now();
  await posthorn(['send', '--url', sink.url, '--type', 'a', '--count', '11', '--rate', '50']);
  t.ok(performance.now() - startMs >= 195, '11 events at 50 a second take a fifth of a second');
  t.equal(sink.requests.length, 11);
});

t.test('an address that takes no events ends the sending at once', async (t) => {
  const sink = await sinkFor(t, () => ({
    status: 404,
    body: JSON.stringify({ detail: 'there is no broker default/nope' }),
  }));
  const args = [
    'send',
    '--url',
    sink.url,
    '--broker',
    'nope',
    '--type',
    'a',
    '--count',
    '100000',
    '--concurrency',
    '2',
  ];
  const sent = await posthorn(args);
  t.equal(sent.code, 1);
  t.equal(sent.stderr, 'posthorn: stopped, what is left was not sent: 404 there is no broker default/nope\n');
  t.ok(sink.requests.length <= 4, `${sink.requests.length} requests`);
});

t.test('where nobody listens the sending ends soon, says so once, and counts what was not sent', async (t) => {
  const gone = await startSink();
  await gone.close();
  const directory = t.testdir({ 'a.json': '1', 'b.json': '2', 'c.json': '', 'events.ndjson': '{"n":1}\n\n{"n":2}\n' });
  const stderr = `posthorn: no Posthorn takes events at ${gone.url} (connection refused); start one with posthorn serve, or name another with --url\n`;
  const startMs = performance.now();
  for (const [args, stdin, counts] of [
    [['--type', 'a'], '', '1 not sent'],
    [['--type', 'a', '--count', '100000'], '', '100,000 not sent'],
    [['--dir', directory, '--concurrency', '1'], '', '3 not sent'],
    [['--dir', directory], '', '2 not sent, 1 refused:\n  1 × the file is empty, which is not JSON (c.json)'],
    [['--file', join(directory, 'events.ndjson'), '--concurrency', '1'], '', '2 not sent'],
    [['--file', '-', '--concurrency', '2'], '{"n":1}\n{"n":2}\n{"n":3}\n', 'at least 2 not sent'],
  ] as const) {
    const sent = await posthorn(['send', '--url', gone.url, ...args], { stdin });
    t.strictSame([sent.code, sent.stderr], [1, stderr], args.join(' '));
    t.equal(sent.stdout.replace(/in \d+\.\d s/, 'in 0.0 s'), `0 events accepted in 0.0 s, ${counts}\n`, args.join(' '));
  }
  t.ok(performance.now() - startMs < 6 * 2_500, 'each within two seconds or so');
});

t.test('the admin port in place of the one for events is told as such', async (t) => {
  const { url } = await serveAdmin(t);
  t.match(await posthorn(['send', '--url', url, '--type', 'a']), {
    code: 1,
    stderr: /404 nothing at POST \/default\/default; this is the admin port, events go to the other one \(8080 unless/,
  });
});

t.test('Ctrl-C ends the sending with the summary, also while it waits for input', async (t) => {
  const sink = await sinkFor(t);
  const stdin = new PassThrough();
  const sending = posthorn(['send', '--url', sink.url, '--file', '-'], { stdin });
  stdin.write('{"n":1}\n');
  await until(() => sink.requests.length === 1, 'the first event is sent');
  process.kill(process.pid, 'SIGINT');
  const sent = await sending;
  t.equal(sent.code, 1);
  t.match(sent.stdout, /^1 event accepted/);
  t.match(sent.stderr, 'interrupted by SIGINT');
});

t.test('the progress is shown at a terminal and nowhere else', async (t) => {
  const sink = await sinkFor(t, () => ({ status: 202, delayMs: 150 }));
  const args = ['send', '--url', sink.url, '--type', 'a', '--count', '4', '--concurrency', '1'];
  const shown = await posthorn(args, { terminal: true });
  t.match(shown.stderr, /\[#{6}\.{18}\] 25 % {2}1 accepted/);
  t.ok(shown.stderr.endsWith('\r\u001b[K'), 'and taken away at the end');
  t.equal((await posthorn(args)).stderr, '');
});

t.test('wrong uses say what would be right', async (t) => {
  const refusals: [string[], RegExp][] = [
    [[], /^posthorn: an event needs a type: --type com\.example\.order\.created; or give events by --file or --dir\n/],
    [['--file', 'x', '--type', 'a'], /--type and --file do not go together/],
    [['--dir', 'x', '--id', 'a'], /--id and --dir do not go together/],
    [['--type', 'a', '--count', '2', '--id', 'x'], /--id and --count do not go together/],
    [['--type', 'a', '--concurrency', '0'], /--concurrency must be a whole number, 1 to 1000, not 0/],
    [
      ['--type', 'a', '--url', 'localhost:8080'],
      /--url must be an http or https URL, as http:\/\/127\.0\.0\.1:8080, not localhost:8080/,
    ],
    [['--type', 'a', '-e', 'x'], /--extension takes NAME=VALUE, not x/],
    [['--type', 'a', '--data', '@none'], /--data: ENOENT/],
    [['--file', 'none.ndjson'], /ENOENT/],
    [['--file', '.'], /--file: \. is a directory; --dir sends one/],
    [['--dir', t.testdir({})], /there is no \.json file in/],
    [['--type', 'a', 'stray'], /send takes no arguments, but got stray/],
  ];
  for (const [args, stderr] of refusals) {
    t.match(await posthorn(['send', ...args]), { code: 2, stdout: '', stderr }, args.join(' '));
  }
  t.match(await posthorn(['send', '--type', 'a', '--time', 'noon']), {
    code: 1,
    stderr: /^posthorn: attribute time is "noon"/,
  });
});
