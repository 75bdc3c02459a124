import t from 'tap';
import { attributesMaxBytes, checkAttributes } from '../../event/validate.ts';
import { named, refusal, required } from './sample.ts';

t.test('valid attributes pass', (t) => {
  const valid: [string, string[]][] = [
    ['id', ['1', 'ü', 'a b', '😀', '\u{10fffd}', '\u00a0', 'x'.repeat(1000)]],
    [
      'source',
      [
        'https://github.com/cloudevents',
        'mailto:cncf-wg-serverless@lists.cncf.io',
        'urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66',
        'cloudevents/spec/pull/123',
        '/sensors/tn-1234567/alerts',
        '1-555-123-4567',
        'http://user:pw@[2001:db8::1]:8080/a;b=c/%C3%A9?q=a/b?c#frag?/',
        'http://[v7.a:b]/',
        'http://[::ffff:192.0.2.1]',
        '//host/path',
        '//host:80',
        '?q',
        '#f',
        '.',
        './a:b',
        'a/b:c',
        'x:',
        'file:///etc/hosts',
        'tag:example.com,2026:a',
      ],
    ],
    ['subject', ['mynewfile.jpg', ' ', 'Größe']],
    [
      'time',
      [
        '2018-04-05T17:31:00Z',
        '2018-04-05t17:31:00z',
        '2018-04-05T17:31:00.123456789012Z',
        '2018-04-05T17:31:00+02:00',
        '2018-04-05T17:31:00-00:00',
        '2024-02-29T00:00:00Z',
        '2000-02-29T00:00:00Z',
        '1990-12-31T23:59:60Z',
        '1990-12-31T15:59:60-08:00',
        '1991-01-01T05:29:60.5+05:30',
        '0000-01-01T00:00:00Z',
      ],
    ],
    ['dataschema', ['https://example.com/schema', 'urn:example:a', 'https://example.com/schema#', 'http://a/b?c#/d']],
    [
      'datacontenttype',
      [
        'application/json',
        'application/vnd.api+json; charset=utf-8',
        'text/plain;charset="utf-8";format=flowed',
        'text/plain ; a="b\\"c; d"',
        'multipart/form-data; boundary=----x',
        'text/plain;',
        'x/y',
      ],
    ],
    ['comexampleextension1', ['', 'anything "at" all % \\', 'true', '-0']],
    ['averylongnameofmorethantwentycharacters', ['x']],
    ['constructor', ['x']],
    ['0', ['x']],
  ];
  for (const [name, values] of valid) {
    for (const value of values) {
      t.doesNotThrow(() => checkAttributes({ ...required, [name]: value }), `${name} ${named(value)}`);
    }
  }
  t.end();
});

t.test('an invalid attribute is refused by its name, with what was seen', (t) => {
  const invalid: [string, string[]][] = [
    ['specversion', ['', '1', '1.0.2', '0.3', '2.0', ' 1.0']],
    [
      'id',
      ['', 'a\u0000', 'a\nb', 'a\u007f', 'a\u009f', '\ud800', '\udc00x', 'x\ud83d', '\ufdd0', '\uffff', '\u{1fffe}'],
    ],
    ['type', ['', '\t']],
    [
      'source',
      [
        '',
        'a b',
        'http://[::1',
        'http://[:::1]/',
        'http://[1.2.3.4]/',
        '%',
        '%4',
        '%zz',
        '/über',
        '1:2',
        ':a',
        'http://a:b:c/',
        'http://a:8o/',
        'a#b#c',
        '<a>',
        '"',
        'a\\b',
        '{a}',
        '^',
        '`',
        '|',
        'a[0]',
        '\u0000',
      ],
    ],
    ['subject', ['', 'a\u0085']],
    [
      'time',
      [
        '',
        'yesterday',
        '2018-04-05',
        '2018-04-05T17:31Z',
        '2018-04-05T17:31:00',
        '2018-04-05 17:31:00Z',
        '2018-04-05T17:31:00.Z',
        '2018-04-05T17:31:00+0200',
        '2018-04-05T24:00:00Z',
        '2018-04-05T17:60:00Z',
        '2018-04-05T17:31:61Z',
        '2018-04-05T17:31:60Z',
        '1990-12-31T23:59:60+01:00',
        '2018-13-05T17:31:00Z',
        '2018-00-05T17:31:00Z',
        '2018-04-00T17:31:00Z',
        '2018-04-31T17:31:00Z',
        '2018-02-29T17:31:00Z',
        '1900-02-29T17:31:00Z',
        '2018-04-05T17:31:00+24:00',
        '2018-04-05T17:31:00+01:60',
        '18-04-05T17:31:00Z',
        '+2018-04-05T17:31:00Z',
        '1522949460',
        '2018-04-05T17:31:00Z ',
      ],
    ],
    ['dataschema', ['', '/schema', 'schema', '//host/a', 'https://a b/', '#']],
    [
      'datacontenttype',
      [
        '',
        'json',
        'application/',
        '/json',
        'a b/c',
        'text/plain; charset',
        'text/plain; =x',
        'text/plain; a=b c',
        'text/plänn',
        'text/plain; a="b',
      ],
    ],
    ['ext', ['\r\n', 'a\u0001', '\udfff']],
  ];
  for (const [name, values] of invalid) {
    for (const value of values) {
      const what = `${name} ${named(value)}`;
      const error = refusal(t, () => checkAttributes({ ...required, [name]: value }), what);
      t.equal(error.attribute, name, what);
      t.equal(error.status, 400);
      t.match(error.message, `attribute ${name} is `);
    }
  }
  t.end();
});

t.test('names other than letters a-z and digits are refused', (t) => {
  for (const name of ['', 'A', 'traceId', 'a-b', 'a_b', 'data_base64', 'ü', 'a.b', 'a b', 'data', '__proto__x']) {
    t.equal(refusal(t, () => checkAttributes({ ...required, [name]: 'x' }), name).attribute, name);
  }
  t.end();
});

t.test('missing required attributes are named, all of them', (t) => {
  for (const name of Object.keys(required)) {
    const error = refusal(t, () => checkAttributes({ ...required, [name]: undefined }), name);
    t.equal(error.attribute, name);
    t.match(error.message, `attribute ${name} is missing`);
  }
  t.match(refusal(t, () => checkAttributes({}), 'nothing').message, 'specversion, id, source, type are missing');
  t.end();
});

t.test('all attributes together may take 16 KiB, in bytes of UTF-8, and no more', (t) => {
  const base = Buffer.byteLength(
    Object.entries({ ...required, ext: '' })
      .flat()
      .join(''),
  );
  const room = attributesMaxBytes - base;
  t.doesNotThrow(() => checkAttributes({ ...required, ext: 'x'.repeat(room) }));
  t.doesNotThrow(() => checkAttributes({ ...required, ext: 'ü'.repeat(Math.floor(room / 2)) }));
  for (const ext of ['x'.repeat(room + 1), 'ü'.repeat(Math.floor(room / 2) + 1), '€'.repeat(6_000)]) {
    t.match(
      refusal(t, () => checkAttributes({ ...required, ext }), 'too much').message,
      /take \d+ bytes together; at most 16384/,
    );
  }
  t.doesNotThrow(() => checkAttributes({ ...required, ext: 'x'.repeat(room + 1) }, attributesMaxBytes + 1));
  t.end();
});

t.test('a message repeats about 60 characters of a wrong value, controls escaped', (t) => {
  const { message } = refusal(t, () => checkAttributes({ ...required, time: `${'x'.repeat(500)}` }), 'long');
  t.ok(message.length < 200, message);
  t.match(message, `${'x'.repeat(60)}…`);
  t.match(refusal(t, () => checkAttributes({ ...required, id: 'a\u0085\n' }), 'controls').message, '"a\\u0085\\n"');
  t.end();
});

t.test('long values are checked in linear time', (t) => {
  const began = performance.now();
  for (const [name, value] of [
    ['source', `${'a'.repeat(16_000)} `],
    ['source', `http://${'a:'.repeat(8_000)} `],
    ['source', `${'%20'.repeat(5_000)}%`],
    ['datacontenttype', `a/b${';a=b'.repeat(4_000)};`.concat('"')],
    ['datacontenttype', `a/b;a="${'\\"'.repeat(8_000)}`],
    ['datacontenttype', `a/b${' '.repeat(16_000)}x`],
    ['datacontenttype', `a/b${';  '.repeat(5_000)}x`],
    ['time', `2018-04-05T17:31:00.${'0'.repeat(16_000)}`],
  ] as const) {
    refusal(t, () => checkAttributes({ ...required, [name]: value }), name);
  }
  t.ok(performance.now() - began < 1_000, 'all within a second');
  t.end();
});
