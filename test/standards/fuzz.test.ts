import { connect, type Socket } from 'node:net';
import t from 'tap';
import { parseWebhooks } from '../../broker/ingress/webhook/webhooks-file.ts';
import type { NewRecord } from '../../broker/log/log.ts';
import type { CloudEvent } from '../../event/event.ts';
import { type EncodedHttp, encodeBinary, encodeStructured } from '../../event/http.ts';
import { fromRecord } from '../../event/kafka.ts';
import { startIngress } from '../ingress/start.ts';
import { propertyRuns } from '../support/property-runs.ts';
import { seeded } from '../support/random.ts';
import { until } from '../support/until.ts';
import { fuzzedRequest, webhookPath } from './fuzz-requests.ts';
import { assertSame, receive } from './receiver.ts';

/** Takes what stands anywhere in the requests for the attributes of its events. */
const { webhooks } = parseWebhooks(
  `webhooks:
  - path: ${webhookPath}
    verify: { scheme: none }
    id: ["{header:ce-id}", /id]
    type: ["{header:ce-x}{/type}", /type, "{header:content-type}"]
    source: ["https://example.com/{/subject}", /source, "{header:ce-source}"]
    subject: /subject
    time: ["{header:ce-time}", /time, /x]`,
  new Map(),
);

/** Requests under way at once. */
const senders = 64;

t.test(
  'whatever is sent to the ingress, it answers no 5xx, stays up, and accepts nothing that is invalid',
  async (t) => {
    const { seed, random } = seeded();
    t.comment(`SEED=${seed}`);
    const invalid: string[] = [];
    let [appended, fromWebhooks] = [0, 0];
    const log = {
      describeTopic: async () => ({ partitions: 1, retentionMs: null, maxMessageBytes: 2_000_000 }),
      append: async (_topic: string, _partition: number, records: readonly NewRecord[]) => {
        for (const record of records) {
          const problem = problemOf(record);
          if (problem !== null && invalid.length < 20) invalid.push(problem);
        }
        appended += records.length;
        return appended;
      },
    };
    const ingress = await startIngress({ log, webhooks });
    t.teardown(ingress.close);

    const statuses = new Map<number, number>();
    const wrong: string[] = [];
    const cases = propertyRuns(4_000, 200_000);
    let begun = 0;
    const send = async (): Promise<void> => {
      const connection = new Connection(ingress.port);
      while (begun < cases && wrong.length < 20) {
        begun++;
        const { bytes, isFramed } = fuzzedRequest(random);
        const answered = isFramed ? [await connection.exchange(bytes)] : await answersTo(ingress.port, bytes);
        for (const status of answered) {
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          if (status === 202 && bytes.includes(` ${webhookPath} `)) fromWebhooks++;
          // OPTIONS is answered 200: it asks whether events may be sent, and sends none.
          const isOptions = /^[\r\n]*OPTIONS /.test(bytes.toString('latin1', 0, 20));
          const isAllowed = status === (isOptions ? 200 : 202) || (status >= 400 && status <= 499);
          if (!isAllowed) wrong.push(`${status} for ${JSON.stringify(bytes.toString('latin1').slice(0, 2_000))}`);
        }
      }
      connection.close();
    };
    await Promise.all(Array.from({ length: senders }, send));

    t.comment(
      `${appended} events accepted, ${fromWebhooks} of webhooks; answers: ${JSON.stringify(Object.fromEntries(statuses))}`,
    );
    t.strictSame(wrong, [], 'every answer is 202 or 4xx');
    t.strictSame(invalid, [], 'what is accepted is valid for its receiver');
    t.strictSame(
      ingress.lines.filter((line) => /error in Posthorn/.test(line)),
      [],
    );
    t.ok((statuses.get(202) ?? 0) > cases / 20, 'not everything is refused');
    t.ok(fromWebhooks > cases / 400, 'nor every webhook');
    t.ok((statuses.get(400) ?? 0) > cases / 20, 'not everything is accepted');
    const connection = new Connection(ingress.port);
    const valid =
      'POST / HTTP/1.1\r\nhost: a\r\nce-specversion: 1.0\r\nce-id: 1\r\nce-source: /a\r\nce-type: b\r\ncontent-length: 0\r\n\r\n';
    t.equal(await connection.exchange(Buffer.from(valid)), 202, 'it is still there');
    connection.close();
  },
);

/** Why the event of a record can't be delivered unchanged; null if it can. */
function problemOf(record: NewRecord): string | null {
  try {
    const event = fromRecord(record);
    for (const message of [encodeBinary(event), encodeStructured(event)]) checkReceived(event, message);
    return null;
  } catch (error) {
    return `${error}: ${JSON.stringify(record.headers)} ${JSON.stringify(String(record.value))}`;
  }
}

function checkReceived(event: CloudEvent, { headers, body }: EncodedHttp): void {
  const received = receive(headers, body ?? Buffer.alloc(0));
  assertSame(received, { attributes: event.attributes as Record<string, string>, data: event.data ?? null });
}

/** The first answer that is whole, without those that only say to go on. */
const answerPattern = /^(?:HTTP\/1\.1 1\d\d [^\r]*\r\n\r\n)*HTTP\/1\.1 (\d+)[^\r]*\r\n(.*?)\r\n\r\n/s;

/** One request after the other on a connection that is kept open. */
class Connection {
  readonly #port: number;
  #socket: Socket | undefined;
  #received = '';
  #wake: () => void = () => {};

  constructor(port: number) {
    this.#port = port;
  }

  /** Sends the request and gives the status that is answered; 0 if the connection ends without an answer. */
  async exchange(bytes: Buffer): Promise<number> {
    const socket = this.#connected();
    this.#received = '';
    socket.write(bytes);
    for (;;) {
      const [head, status, headers = ''] = answerPattern.exec(this.#received) ?? [];
      if (head !== undefined) {
        const length = Number(/content-length: (\d+)/i.exec(headers)?.[1] ?? 0);
        const isWhole = this.#received.length >= head.length + length;
        if (isWhole && /connection: close/i.test(headers)) this.close();
        if (isWhole || socket.destroyed) return Number(status);
      } else if (socket.destroyed) {
        return 0;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    // A reset leaves no port behind in TIME_WAIT, of which there would not be enough.
    this.#socket?.resetAndDestroy();
    this.#socket = undefined;
  }

  #connected(): Socket {
    if (this.#socket && !this.#socket.destroyed) return this.#socket;
    const socket = connect(this.#port, '127.0.0.1').setEncoding('latin1').setNoDelay();
    socket.on('data', (text) => {
      this.#received += String(text);
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => this.#wake());
    this.#socket = socket;
    return socket;
  }
}

/** Sends these bytes and no more, and gives the statuses of all answers until the connection ends. */
async function answersTo(port: number, bytes: Buffer): Promise<number[]> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  let received = '';
  let isClosed = false;
  socket.on('data', (text) => {
    received += String(text);
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    isClosed = true;
  });
  socket.end(bytes);
  await until(() => isClosed, 'the end of the connection');
  return [...received.matchAll(/^HTTP\/1\.1 ([2-9]\d\d) /gm)].map(([, status]) => Number(status));
}
