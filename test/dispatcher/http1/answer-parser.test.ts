import fc from 'fast-check';
import t from 'tap';
import { AnswerParser } from '../../../dispatcher/http1/answer-parser.ts';
import { propertyRuns } from '../../support/property-runs.ts';

const headBytesMax = 1_000;

interface Parsed {
  status: number;
  headers: string[];
  body: string;
  isEnded: boolean;
  mayReuse: boolean;
  /** Whether all bytes were of the answer. */
  isAll: boolean;
}

/** What comes of an answer that arrives in these pieces, after which the server closes the connection if asked to. */
function parse(pieces: readonly (string | Buffer)[], { closes = false } = {}): Parsed {
  const parsed: Parsed = { status: 0, headers: [], body: '', isEnded: false, mayReuse: false, isAll: true };
  const parser = new AnswerParser(
    {
      onHead(status, headers) {
        if (parsed.status !== 0) throw new Error('a second head');
        Object.assign(parsed, { status, headers });
      },
      onData(chunk) {
        parsed.body += chunk.toString('latin1');
      },
    },
    headBytesMax,
  );
  for (const piece of pieces) {
    const bytes = Buffer.from(piece as string, 'latin1');
    parsed.isAll = parser.read(bytes) && parsed.isAll;
    // The memory of a connection is used again.
    bytes.fill(0);
  }
  if (closes) parser.close();
  parsed.isEnded = parser.isEnded;
  parsed.mayReuse = parser.mayReuse;
  return parsed;
}

const whole: readonly [what: string, answer: string, expected: Partial<Parsed>][] = [
  ['a length of zero', 'HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n', { status: 202, body: '', mayReuse: true }],
  ['a length', 'HTTP/1.1 200 OK\r\nContent-Length:5\r\nX-A: b\r\n\r\nhello', { body: 'hello', mayReuse: true }],
  ['no reason', 'HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n', { status: 200 }],
  ['an empty reason', 'HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n', { status: 200 }],
  ['no content by its status', 'HTTP/1.1 204 No Content\r\n\r\n', { status: 204, mayReuse: true }],
  ['not modified, whatever its length says', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n', { status: 304 }],
  ['a status that nobody has defined', 'HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n', { status: 999 }],
  [
    'chunks, with an extension, and trailers',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\nA \r\n, world...\r\n0\r\nx-sum: 1\r\n\r\n',
    { body: 'hello, world...', mayReuse: true },
  ],
  [
    'interim answers before it',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
    { status: 200, body: 'ok' },
  ],
  ['close', 'HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 2\r\n\r\nok', { body: 'ok', mayReuse: false }],
  ['close among others', 'HTTP/1.1 200 OK\r\nconnection: x, close\r\ncontent-length: 0\r\n\r\n', { mayReuse: false }],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok', { body: 'ok', mayReuse: false }],
  [
    'HTTP/1.0 that keeps alive',
    'HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n',
    { mayReuse: true },
  ],
];

t.test('an answer is read, whole or a byte at a time', async (t) => {
  for (const [what, answer, expected] of whole) {
    t.match(parse([answer]), { ...expected, isEnded: true, isAll: true }, what);
    t.same(parse(Array.from(answer)), parse([answer]), `${what}, byte by byte`);
  }
});

t.test('however an answer is cut, the same comes of it', async (t) => {
  const answers = fc.constantFrom(...whole.map(([, answer]) => answer));
  const cuts = fc.array(fc.nat(200), { maxLength: 8 });
  const property = fc.property(answers, cuts, (answer, at) => {
    const ends = [0, ...at.map((one) => one % answer.length).sort((a, b) => a - b), answer.length];
    const pieces = ends.slice(1).map((end, i) => answer.slice(ends[i], end));
    t.strictSame(parse(pieces.filter((piece) => piece !== '')), parse([answer]));
  });
  fc.assert(property, { numRuns: propertyRuns(300, 20_000) });
});

t.test(
  'names of headers are in lower case, values without space around them and with a character for each byte',
  async (t) => {
    const answer = 'HTTP/1.1 200 OK\r\nX-One:\t a b \t\r\nx-two: \xc3\xbc\r\nx-two:\r\ncontent-length: 0\r\n\r\n';
    t.same(parse([answer]).headers, ['x-one', 'a b', 'x-two', '\xc3\xbc', 'x-two', '', 'content-length', '0']);
  },
);

t.test('without a length it goes on until the connection is closed', async (t) => {
  const answer = 'HTTP/1.1 200 OK\r\n\r\nhello';
  t.match(parse([answer]), { isEnded: false, body: 'hello' });
  t.match(parse([answer, ' you'], { closes: true }), { isEnded: true, body: 'hello you', mayReuse: false });
  const encoded = 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nxyz';
  t.match(parse([encoded], { closes: true }), { isEnded: true, body: 'xyz', mayReuse: false });
});

t.test('a connection that closes too early leaves the answer open', async (t) => {
  for (const [what, answer] of whole) {
    for (const length of [1, 10, answer.length - 1]) {
      t.notOk(parse([answer.slice(0, length)], { closes: true }).isEnded, `${what}, after ${length}`);
    }
  }
});

t.test('what comes behind the answer is told', async (t) => {
  for (const [what, answer] of whole) t.notOk(parse([`${answer}HTTP/1.1 200 OK\r\n\r\n`]).isAll, what);
  const [, answer = ''] = whole[0] ?? [];
  t.notOk(parse([answer, 'x']).isAll, 'also later');
});

t.test('what is not HTTP/1.1 is refused, and says why', async (t) => {
  const ok = 'HTTP/1.1 200 OK\r\n';
  const wrong: readonly [string, RegExp][] = [
    ['SSH-2.0-OpenSSH_9.2\r\n', /is not HTTP\/1.1: it begins with "SSH-2.0/],
    ['\x16\x03\x01', /not HTTP/],
    ['HTTP/2 200 OK\r\n\r\n', /not HTTP/],
    ['HTTP/1.1 20 OK\r\n\r\n', /not HTTP/],
    ['HTTP/1.1 2000 OK\r\n\r\n', /not HTTP/],
    ['HTTP/1.1 099 OK\r\n\r\n', /not HTTP/],
    ['HTTP/1.1  200 OK\r\n\r\n', /not HTTP/],
    ['HTTP/1.1 200 OK\n\n', /not HTTP/],
    ['HTTP/1.1 200 OK\r\na: b\n\r\n', /not HTTP|header line/],
    ['HTTP/1.1 101 Switching Protocols\r\n\r\n', /another protocol/],
    [`${ok}no colon\r\n\r\n`, /a header line that is none: "no colon"/],
    [`${ok}a : b\r\n\r\n`, /header line/],
    [`${ok}a: b\r\n folded\r\n\r\n`, /header line/],
    [`${ok}a: b\0c\r\n\r\n`, /header line/],
    [`${ok}a: b\rc\r\n\r\n`, /header line/],
    [`${ok}: b\r\n\r\n`, /header line/],
    [`${ok}content-length: -1\r\n\r\n`, /content-length is "-1"/],
    [`${ok}content-length: 1e3\r\n\r\n`, /content-length/],
    [`${ok}content-length: \r\n\r\n`, /content-length/],
    [`${ok}content-length: 1\r\ncontent-length: 1\r\n\r\nx`, /two headers content-length/],
    [`${ok}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`, /both transfer-encoding and content-length/],
    [`${ok}transfer-encoding: chunked\r\n\r\nx\r\n`, /"x" for the size of a chunk/],
    [`${ok}transfer-encoding: chunked\r\n\r\n-1\r\n`, /size of a chunk/],
    [`${ok}transfer-encoding: chunked\r\n\r\n\r\n`, /size of a chunk/],
    [`${ok}transfer-encoding: chunked\r\n\r\nfffffffffffff\r\n`, /size of a chunk/],
    [`${ok}transfer-encoding: chunked\r\n\r\n1\r\nxy\r\n`, /longer than it says/],
    [`${ok}transfer-encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n`, /header line/],
    [`${ok}transfer-encoding: chunked\r\n\r\n1;${'x'.repeat(20_000)}`, /longer than 16384 bytes/],
    [`${ok}a: ${'x'.repeat(headBytesMax)}`, /headers are longer than 1000 bytes/],
    [`${ok}a: ${'x'.repeat(headBytesMax)}\r\n\r\n`, /headers are longer than 1000 bytes/],
    [`HTTP/1.1 100 Continue\r\n\r\n`.repeat(50), /headers are longer/],
    [`${ok}transfer-encoding: chunked\r\n\r\n0\r\n${'a: b\r\n'.repeat(300)}\r\n`, /headers are longer/],
  ];
  for (const [answer, message] of wrong) {
    t.throws(() => parse([answer]), { name: 'AnswerError', message }, JSON.stringify(answer.slice(0, 60)));
    t.throws(() => parse(Array.from(answer)), { name: 'AnswerError' }, 'byte by byte');
  }
});

t.test('whatever comes, it is an answer, a part of one, or an AnswerError', async (t) => {
  const piece = fc.oneof(
    fc.constantFrom(
      'HTTP/1.1 ',
      '200 OK',
      '\r\n',
      '\r\n\r\n',
      ':',
      'content-length: 3',
      'transfer-encoding: chunked',
      '0',
      'a',
    ),
    fc.string({ unit: 'binary', maxLength: 6 }),
  );
  const property = fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
    const bytes = pieces.map((one) => Buffer.from(one, 'latin1').toString('latin1')).filter((one) => one !== '');
    const outcome = (parts: readonly string[]): string => {
      try {
        return JSON.stringify(parse(parts));
      } catch (error) {
        if (!(error instanceof Error) || error.name !== 'AnswerError') throw error;
        return 'refused';
      }
    };
    outcome(bytes);
    const joined = bytes.join('');
    if (joined !== '') t.equal(outcome(Array.from(joined)), outcome([joined]), JSON.stringify(joined));
  });
  fc.assert(property, { numRuns: propertyRuns(1_000) });
});
