import { required } from './cases.ts';
import { batchType, structuredType } from './sender.ts';

/** A request that somebody may send, by mistake or by design. */
export interface FuzzedRequest {
  readonly bytes: Buffer;
  /**
   * Whether the message ends where its headers say, so that one answer is to come. If not, only the end of the
   * connection tells that nothing more comes.
   */
  readonly isFramed: boolean;
}

/** Where webhooks come in that are no CloudEvents. */
export const webhookPath = '/hook';

/** @param random in [0, 1) */
export function fuzzedRequest(random: () => number): FuzzedRequest {
  const { pick, chance, below } = choices(random);
  const isBinary = chance(0.6);
  const lines = isBinary ? binaryLines() : [pick(['content-type', 'Content-Type']), pick(jsonTypes)];
  for (let more = below(4); more > 0; more--) lines.push(pick(headerNames), headerValue());
  const body = chance(0.001) ? Buffer.alloc(5_000_000, 'x') : isBinary ? anyBody() : jsonBody();
  const isChunked = chance(0.1);
  const target = chance(0.98)
    ? pick(['/default/default', '/default/default', '/default/default', webhookPath])
    : pick(['/', '/%zz', '/default/default?a=b', '//', '*', '/a/b/c', '/no/such']);
  const head = [
    `${chance(0.98) ? 'POST' : pick(['GET', 'PUT', 'OPTIONS', 'HEAD', 'DELETE', 'PATCH'])} ${target} HTTP/1.1`,
    'host: posthorn',
    ...pairs(lines),
    isChunked ? 'transfer-encoding: chunked' : `content-length: ${body.length}`,
  ];
  const framed = isChunked ? chunked(body, below(body.length + 1)) : body;
  const bytes = Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), framed]);
  // A header that says something of the message's length or end, or of the connection.
  const isOdd = lines.some((text) => /transfer-encoding|content-length|connection|upgrade|expect/i.test(text));
  const isPlain = head[0]?.startsWith('POST') === true && !isOdd;
  return chance(0.9) ? { bytes, isFramed: isPlain } : { bytes: mutated(bytes), isFramed: false };

  function binaryLines(): string[] {
    const attributes: string[] = Object.entries(required).flatMap(([name, value]) => [`ce-${name}`, value]);
    if (chance(0.5)) attributes.push('content-type', pick(dataTypes));
    if (chance(0.5)) attributes[1 + 2 * below(attributes.length / 2)] = headerValue();
    if (chance(0.1)) attributes.splice(2 * below(attributes.length / 2), 2);
    return attributes;
  }

  function headerValue(): string {
    if (chance(0.6)) return pick(values);
    if (chance(0.1)) return pick(values).repeat(below(3_000));
    const text = Array.from({ length: below(12) }, () =>
      chance(0.5) ? pick(fragments) : String.fromCharCode(below(256)),
    );
    // What would end the line or the request is put in by `mutated`.
    return text.join('').replace(/[\0\r\n]/g, ' ');
  }

  function anyBody(): Buffer {
    return Buffer.from(Array.from({ length: below(20) }, () => below(256)));
  }

  function jsonBody(): Buffer {
    const one = (): string => {
      const members = Object.entries(required).map(([name, value]) => `"${name}":${JSON.stringify(value)}`);
      for (let more = below(4); more > 0; more--) members.push(`"${pick(memberNames)}":${pick(jsonValues)}`);
      if (chance(0.2)) members.splice(below(members.length), 1);
      return `{${members.join(pick([',', ',', ' ,\n']))}}`;
    };
    const text = chance(0.6) ? one() : `[${Array.from({ length: below(4) }, one).join(',')}]`;
    return chance(0.5) ? Buffer.from(text, chance(0.05) ? 'utf16le' : 'utf8') : mutated(Buffer.from(text));
  }

  /** With some bytes taken out, and others put in. */
  function mutated(bytes: Buffer): Buffer {
    let all = bytes;
    for (let edits = 1 + below(3); edits > 0; edits--) {
      const at = below(Math.min(all.length, 1_000) + 1);
      const put = chance(0.5) ? Buffer.from(pick(fragments), 'latin1') : Buffer.from([below(256)]);
      all = Buffer.concat([all.subarray(0, at), put, all.subarray(at + below(4))]);
    }
    return all;
  }
}

function choices(random: () => number) {
  const below = (bound: number): number => Math.floor(random() * bound);
  return {
    below,
    chance: (share: number): boolean => random() < share,
    pick: <T>(list: readonly T[]): T => list[below(list.length)] as T,
  };
}

function pairs(lines: readonly string[]): string[] {
  return lines.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${lines[at + 1] ?? ''}`] : []));
}

function chunked(body: Buffer, cut: number): Buffer {
  const chunks = [body.subarray(0, cut), body.subarray(cut)].filter(({ length }) => length > 0);
  const framed = chunks.flatMap((chunk) => [
    Buffer.from(`${chunk.length.toString(16)}\r\n`),
    chunk,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([...framed, Buffer.from('0\r\n\r\n')]);
}

const headerNames = [
  ...[
    'ce-id',
    'CE-Source',
    'ce-type',
    'ce-specversion',
    'ce-time',
    'ce-subject',
    'ce-dataschema',
    'ce-datacontenttype',
  ],
  ...['ce-x', 'ce-partitionkey', 'ce-traceparent', 'ce-tracestate', 'ce-posthornhops', 'ce-deliverat', 'ce-data'],
  ...['ce-my_ext', 'ce-', 'ce-constructor', 'ce-__proto__', 'ce-knativeerrorcode', 'cE-X', "ce-'"],
  ...['content-type', 'content-encoding', 'traceparent', 'tracestate', 'prefer', 'accept', 'x', 'posthorn-trigger'],
  ...['expect', 'connection', 'upgrade', 'content-length', 'transfer-encoding', 'te', 'host'],
];

const jsonTypes = [
  ...[structuredType, structuredType, structuredType, batchType, batchType, `${structuredType}; charset=utf-8`],
  ...[
    'application/cloudevents',
    'application/cloudevents+avro',
    `${structuredType};`,
    `${structuredType}; charset=utf-16`,
  ],
];

const dataTypes = [
  'application/json',
  'text/plain',
  'text/xml; charset=latin1',
  'a/b',
  'x',
  'a/b; c="d',
  'a/b;',
  '',
  'ä/b',
];

const values = [
  ...[
    '',
    '0',
    '1.0',
    'a',
    'true',
    '-2147483648',
    '2147483648',
    '2018-04-05T17:31:00Z',
    '2018-02-30T17:31:00Z',
    '/',
    '//',
    ':',
  ],
  ...[
    '%41',
    '%2541',
    '%',
    '%zz',
    '%00',
    '%0D%0A',
    '%C3%BC',
    '%C0%A0',
    '%ED%A0%80',
    '%EF%BF%BF',
    '%E2%82',
    '\xe2\x82\xac',
    '\xff',
  ],
  ...[
    '"a"',
    '"a',
    '"\\"',
    '"a\\\\"',
    'a"b"',
    '\t',
    'a\tb',
    ' a ',
    '""',
    'http://[::1]/',
    'http://[',
    'urn:a',
    '#',
    '?',
    'a b',
  ],
  ...[
    'gzip',
    'chunked',
    'close',
    'keep-alive',
    'h2c',
    'Upgrade',
    '100-continue',
    '5',
    'identity',
    '16',
    '17',
    '9999-12-31T00:00:00Z',
  ],
  ...[
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    'application/cloudevents+json',
    'application/json',
    'a=b,c=d',
  ],
];

const fragments = [
  '%',
  '"',
  '\\',
  ' ',
  '\t',
  '%C3',
  '\xc3\xbc',
  'a',
  ':',
  '/',
  '{',
  '}',
  '[',
  ']',
  ',',
  '\\u0000',
  '\\ud800',
  'null',
  '\r\n',
  '\n',
  '\0',
  '-',
  '1e400',
  '=',
];

const memberNames = [
  ...['id', 'source', 'type', 'specversion', 'time', 'subject', 'dataschema', 'datacontenttype', 'data', 'data_base64'],
  ...[
    'x',
    'X',
    'my_ext',
    '',
    'partitionkey',
    'traceparent',
    'posthornhops',
    'deliverat',
    '__proto__',
    'constructor',
    '\\u0069d',
  ],
];

const jsonValues = [
  ...[
    'null',
    'true',
    '0',
    '-0',
    '-2147483648',
    '2147483648',
    '1.0',
    '1e2',
    '01',
    '""',
    '"a"',
    '"1.0"',
    '{}',
    '[]',
    '{"a":[1]}',
  ],
  ...[
    '"2018-04-05T17:31:00Z"',
    '"text/plain"',
    '"application/json"',
    '"application/cloudevents+json"',
    '"AAH/"',
    '"AA="',
    '"%41"',
  ],
  ...[
    '"\\u00fc"',
    '"\\ud800"',
    '"\\u0000"',
    '"\\uffff"',
    '"ü€😀"',
    '"a b"',
    '"\\"',
    'NaN',
    '"urn:a"',
    '12345678901234567890',
  ],
];
