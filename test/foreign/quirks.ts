import { exactJson, json } from './cases.ts';
import type { Mode } from './peer.ts';

/**
 * Where an SDK does not do what it was told, or not as the specification has it. All else is expected to be equal, so that
 * this is all there is. docs/knative.md has what each `says`.
 */
export interface SendingQuirk {
  /** Absent where it goes with another. */
  readonly says?: string;
  readonly when: { readonly by?: 'HTTP' | 'Kafka'; readonly mode?: Mode; readonly cases?: readonly string[] };
  /** What becomes of it at once: the status of the answer, or the SDK's own error. */
  readonly outcome?: number | RegExp;
  /** It is no event, and lies in the dead-letter topic. */
  readonly isDead?: true;
  /** What a subscriber gets in place of what was meant. */
  readonly attributes?: Readonly<Record<string, string | RegExp>>;
  readonly data?: Buffer;
}

/** The same for what it reads. */
export interface ReadingQuirk {
  readonly says?: string;
  readonly when: { readonly from?: readonly Source[]; readonly cases?: readonly string[] };
  readonly error?: RegExp;
  /** Null: it is not there. */
  readonly attributes?: Readonly<Record<string, string | RegExp | null>>;
  /** What it makes of a value of an attribute. */
  readonly value?: (value: string) => string;
  readonly data?: Buffer;
}

/** Where an SDK reads an event: a delivery, by its path, or the topic. */
export type Source = '/binary' | '/structured' | 'topic';

export interface Quirks {
  readonly sending: readonly SendingQuirk[];
  readonly reading: readonly ReadingQuirk[];
}

const anyTime = /^20\d\d-\d\d-\d\dT[\d:.]+Z$/;
const anyOffset = /^20\d\d-\d\d-\d\dT[\d:.]+\+00:00$/;
const withoutData = ['required', 'unicode', 'percent', 'extensions', 'boolean', 'timestamp', 'binary'];

/** Against CloudEvents HTTP binding 1.0.2, section 3.1.3.2. */
const readsEncoded: ReadingQuirk = {
  says: 'In binary mode over HTTP it does not decode the values of headers, and reads `a b` as `a%20b`.',
  when: { from: ['/binary'] },
  value: (value) => value.replace(/[^!#$&-~]+/g, encodeURIComponent),
};
const percentIsRefused: SendingQuirk = {
  says: 'Nor does it encode them: a `%` is refused with 400, or read as encoding, but for `source` and `dataschema`.',
  when: { by: 'HTTP', mode: 'binary', cases: ['percent'] },
  outcome: 400,
};
const addsTime = 'An event without a `time` gets the present one';

const javascript: Quirks = {
  sending: [
    {
      says: '`time` is cut to milliseconds.',
      when: { by: 'HTTP' },
      attributes: { time: '2026-01-31T12:00:00.123Z' },
    },
    { when: { by: 'Kafka', mode: 'structured' }, attributes: { time: '2026-01-31T12:00:00.123Z' } },
    {
      says: `${addsTime}, when it is made and when it is read.`,
      when: { cases: ['required'] },
      attributes: { time: anyTime },
    },
    percentIsRefused,
    {
      says: 'Characters beyond ASCII in an attribute are not sent in binary mode over HTTP: Node.js refuses the header.',
      when: { by: 'HTTP', mode: 'binary', cases: ['unicode'] },
      outcome: /ByteString/,
    },
    {
      says: 'In binary mode over HTTP an event without `datacontenttype` says `application/json; charset=utf-8`, with no data too.',
      when: { by: 'HTTP', mode: 'binary', cases: [...withoutData, 'untyped'] },
      attributes: { datacontenttype: 'application/json; charset=utf-8' },
    },
    {
      says: 'A `Date` in an extension is no timestamp in binary mode, but `Sat Jan 31 2026 …`.',
      when: { mode: 'binary', cases: ['timestamp'] },
      attributes: { comwhen: 'Sat Jan 31 2026 12:00:00 GMT+0000 (Coordinated Universal Time)' },
    },
    {
      when: { mode: 'structured', cases: ['timestamp'] },
      attributes: { comwhen: '2026-01-31T12:00:00.000Z' },
    },
    {
      says: 'Bytes in an extension are `0,255,7` in binary mode, and in structured mode an object, which is no event: 400, or a dead letter.',
      when: { mode: 'binary', cases: ['binary'] },
      attributes: { combytes: '0,255,7' },
    },
    { when: { by: 'HTTP', mode: 'structured', cases: ['binary'] }, outcome: 400 },
    { when: { by: 'Kafka', mode: 'structured', cases: ['binary'] }, isDead: true },
  ],
  reading: [
    readsEncoded,
    { when: {}, attributes: { time: anyTime } },
    { when: { cases: ['json'] }, attributes: { time: '2026-01-31T12:00:00.123Z' } },
    {
      says: 'A record without data is not read from Kafka.',
      when: { from: ['topic'], cases: ['required', 'unicode'] },
      error: /Value is null or undefined/,
    },
  ],
};

const pythonJson = Buffer.from(
  '{"text": "s\\u00fc\\u00df \\u65e5\\u672c \\ud83d\\ude00 \\"<&>\\"", "list": [1, 1.5, true, null], "none": {}}',
);

const python: Quirks = {
  sending: [
    {
      says: `${addsTime}, when it is made and when it is read.`,
      when: { cases: ['required'] },
      attributes: { time: anyTime },
    },
    { when: { cases: ['json'] }, data: pythonJson },
    {
      says: "Of the types of extensions only texts, numbers and, in structured mode, booleans come out right: `True` is written for `true`, and bytes as `b'…'` or not at all.",
      when: { mode: 'binary', cases: ['boolean'] },
      attributes: { comflag: 'True' },
    },
    { when: { mode: 'binary', cases: ['binary'] }, attributes: { combytes: "b'\\x00\\xff\\x07'" } },
    { when: { mode: 'structured', cases: ['binary'] }, outcome: /bytes is not JSON serializable/ },
    {
      says: 'No data is empty data in a record.',
      when: { by: 'Kafka', mode: 'binary', cases: withoutData },
      data: Buffer.alloc(0),
    },
  ],
  reading: [{ when: { cases: ['required', 'exactjson', 'text', 'bytes', 'unicode'] }, attributes: { time: anyTime } }],
};

const goJson = Buffer.from(JSON.stringify(json).replace(/[<>&]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`));

const go: Quirks = {
  sending: [
    { when: { cases: ['json'] }, data: goJson },
    {
      says: `${addsTime} by the HTTP client that is the default.`,
      when: { by: 'HTTP', mode: 'binary', cases: ['required'] },
      attributes: { time: anyTime },
    },
    { when: { by: 'HTTP', mode: 'structured', cases: ['required'] }, attributes: { time: anyTime } },
    percentIsRefused,
  ],
  reading: [
    readsEncoded,
    {
      says: 'What is read from Kafka has the extensions `kafkatopic`, `kafkapartition` and `kafkaoffset`.',
      when: { from: ['topic'] },
      attributes: { kafkatopic: /\.default\.default$/, kafkapartition: /^\d+$/, kafkaoffset: /^\d+$/ },
    },
  ],
};

const java: Quirks = {
  sending: [
    percentIsRefused,
    {
      says: 'Characters beyond ASCII in an attribute are not sent in binary mode over HTTP: the HTTP client of Java refuses the header.',
      when: { by: 'HTTP', mode: 'binary', cases: ['unicode'] },
      outcome: /invalid header value/,
    },
    {
      when: { mode: 'structured', cases: ['json'] },
      data: Buffer.from(JSON.stringify(json).replace('😀', '\\uD83D\\uDE00')),
    },
    {
      says: 'Data without `datacontenttype` is taken for JSON in structured mode.',
      when: { mode: 'structured', cases: ['untyped'] },
      attributes: { datacontenttype: 'application/json' },
    },
  ],
  reading: [
    readsEncoded,
    {
      says: 'JSON data is written anew when it is read in structured mode.',
      when: { from: ['/structured'], cases: ['exactjson'] },
      data: Buffer.from(exactJson.replace(/[ \n]/g, '').replace('\\u00fc', 'ü')),
    },
  ],
};

const nodeFunctions: Quirks = {
  sending: [],
  reading: [
    readsEncoded,
    {
      says: 'An event without data, or with text, is answered 500 in binary mode: it looks for a member `context` in the body.',
      when: { from: ['/binary'], cases: ['required', 'unicode', 'text'] },
      error: /500/,
    },
    { says: 'Bytes are in `data_base64` in structured mode, and not in `data`.', when: {} },
    {
      says: '`datacontenttype` is not told in binary mode.',
      when: { from: ['/binary'] },
      attributes: { datacontenttype: null },
    },
  ],
};
const pythonFunctions: Quirks = {
  sending: [],
  reading: [
    readsEncoded,
    {
      says: `${addsTime}.`,
      when: { cases: ['required', 'exactjson', 'text', 'bytes', 'unicode'] },
      attributes: { time: anyOffset },
    },
  ],
};

export const quirks = { javascript, python, go, java, nodeFunctions, pythonFunctions };
