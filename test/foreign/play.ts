import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import type { ExpectedEvent } from '../standards/cases.ts';
import { type Received, receive } from '../standards/receiver.ts';
import { sendBinary } from '../standards/sender.ts';
import { kafkaUnderTest, type LogUnderTest } from '../support/logs.ts';
import { type PosthornProcess, startPosthorn } from '../support/posthorn.ts';
import { type Sink, startSink } from '../support/sink.ts';
import { readTopic } from '../support/topics.ts';
import { applyTo, triggerYaml } from '../support/triggers.ts';
import { until } from '../support/until.ts';
import { cases, type EventToMake, eventOfCase, nameOf, producedType, replyTo, sentTo } from './cases.ts';
import { expectedSending } from './expected.ts';
import { type Failed, type Mode, type Outcomes, Peer, type Told, type Topic } from './peer.ts';
import type { Sdk } from './sdks.ts';

/** One Posthorn on Kafka for all SDKs, and a subscriber that gets all that they send, in both modes. */
export interface Stage {
  readonly posthorn: PosthornProcess;
  readonly sink: Sink;
  readonly topic: Topic;
  readonly log: LogUnderTest;
}

/** What an SDK sent, what became of it, and what it got. */
export interface Play {
  readonly sent: readonly Sending[];
  /** What the sink got, by `PATH ID`. */
  readonly delivered: ReadonlyMap<string, Received>;
  /** What it made of deliveries, by `PATH ID`. */
  readonly received: ReadonlyMap<string, Told | Failed>;
  /** What it made of records that the ingress wrote, by id. */
  readonly read: ReadonlyMap<string, Told | Failed>;
}

export interface Sending {
  readonly by: 'HTTP' | 'Kafka';
  readonly mode: Mode;
  readonly caseName: string;
  readonly event: EventToMake;
  /** The status of the answer, `produced`, or the SDK's error. */
  readonly outcome: number | string | undefined;
}

export const formats = { '/binary': 'binary', '/structured': 'json' } as const;

export async function openStage(t: Test): Promise<Stage> {
  const log = await kafkaUnderTest();
  const sink = await startSink();
  t.teardown(() => sink.close());
  const posthorn = await startPosthorn(log.args);
  t.teardown(() => posthorn.stop());
  const filters = `[{ exact: { type: ${producedType} } }]`;
  const triggers = Object.entries(formats).map(([path, format]) =>
    triggerYaml(`all-${format}`, `${sink.url}${path}`, { filters, delivery: `{ format: ${format} }` }),
  );
  await applyTo(posthorn.adminUrl, ...triggers);
  const [, brokers = ''] = log.args;
  return { posthorn, sink, log, topic: { brokers, topic: `${log.prefix}.default.default` } };
}

/** Starts the SDK's program, has it send, sends to it, and waits for all that comes of it. */
export async function play(t: Test, sdk: Sdk, { posthorn, sink, topic }: Stage): Promise<Play> {
  const peer = new Peer(await sdk.program());
  t.teardown(() => peer.stop());
  const url = await peer.url();
  await peer.replyWith(replyTo(sdk.name));
  const filters = `[{ exact: { type: com.example.for.${sdk.name} } }]`;
  const triggers = Object.entries(formats).map(([path, format]) =>
    triggerYaml(`${sdk.name}-${format}`, `${url}${path}`, { filters, delivery: `{ format: ${format} }` }),
  );
  const applied = applyTo(posthorn.adminUrl, ...triggers);

  const sent: Sending[] = [];
  for (const by of ['HTTP', 'Kafka'] as const) {
    for (const mode of by === 'HTTP' ? sdk.httpModes : (['binary', 'structured'] as const)) {
      const events = cases.map((one) => eventOfCase(one, `${sdk.name}/${by}/${mode}/${one.name}`));
      const outcomes =
        by === 'HTTP' ? await peer.post(posthorn.url, mode, events) : await peer.produce(topic, mode, events);
      sent.push(...events.map((event, at) => sendingOf(by, mode, event, outcomes, at)));
    }
  }

  await applied;
  const toSdk = sentTo(sdk.name);
  for (const event of toSdk) await postAsIs(posthorn.url, event);
  await peer.consume(topic, `${topic.topic}.${sdk.name}.${randomBytes(4).toString('hex')}`);

  const read = new Map<string, Told | Failed>();
  const ids = new Set(toSdk.map(({ attributes }) => attributes.id));
  await peer.until(() => {
    for (const one of peer.read.splice(0)) if (ids.has(idOf(one))) read.set(idOf(one), one);
    return read.size === ids.size;
  }, `its ${ids.size} records`);
  await peer.until(() => peer.received.length >= 2 * ids.size, `its ${2 * ids.size} deliveries`);
  const received = new Map(peer.received.map(({ to, received }) => [`${to} ${idOf(received)}`, received]));

  const delivered = await deliveredOf(sink, [
    ...sent.filter((sending) => isOnItsWay(sdk, sending)).map(({ event }) => event.id),
    ...[...received].filter(([, one]) => 'attributes' in one).map(([key]) => replyId(sdk, key)),
  ]);
  return { sent, delivered, received, read };
}

/** The id of the answer to what was received under this key. */
export function replyId(sdk: Sdk, key: string): string {
  return `${replyTo(sdk.name).id}${key.replace(' ', '/')}`;
}

/** Waits until the sink has these events in both modes. @throws Error that names what is missing */
async function deliveredOf(sink: Sink, ids: readonly string[]): Promise<ReadonlyMap<string, Received>> {
  const wanted = new Set(ids.flatMap((id) => Object.keys(formats).map((path) => `${path} ${id}`)));
  const delivered = new Map<string, Received>();
  const missing = (): string[] => [...wanted].filter((key) => !delivered.has(key));
  let at = 0;
  const look = (): boolean => {
    for (const request of sink.requests.slice(at)) {
      at++;
      const event = receive(request.rawHeaders, request.body);
      delivered.set(`${request.path} ${event.attributes.id}`, event);
    }
    return missing().length === 0;
  };
  await until(look, 'all is delivered').catch((error: unknown) => {
    throw new Error(`${String(error)}; missing: ${missing().join(', ')}`);
  });
  return delivered;
}

/** The values of all dead letters of the stage. */
export async function deadLetters({ log }: Stage): Promise<readonly string[]> {
  const opened = await log.open();
  try {
    const records = await readTopic(opened, `${log.prefix}.default.default._dead-letter`);
    return records.map(({ value }) => String(value));
  } finally {
    await opened.close();
  }
}

/** Whether subscribers get it; not where it was refused, be that right or wrong. */
function isOnItsWay(sdk: Sdk, sending: Sending): boolean {
  const { delivered, outcome } = expectedSending(sdk, sending);
  return delivered !== null && outcome === sending.outcome;
}

function sendingOf(by: Sending['by'], mode: Mode, event: EventToMake, outcomes: Outcomes, at: number): Sending {
  // A batch has one answer for all.
  const outcome = mode === 'batch' ? outcomes[0] : outcomes[at];
  return { by, mode, caseName: nameOf(event.id), event, outcome };
}

/** Sends an event that Posthorn's own code had no part in. */
export async function postAsIs(url: string, { attributes, data }: ExpectedEvent): Promise<void> {
  const { specversion = '', id = '', source = '', type = '', ...more } = attributes;
  const event = { attributes: { specversion, id, source, type, ...more }, data: data ?? undefined };
  const { headers: flat, body } = sendBinary(event, 0);
  const headers = flat.flatMap((name, index): [string, string][] =>
    index % 2 === 0 ? [[name, flat[index + 1] ?? '']] : [],
  );
  const answer = await fetch(url, { method: 'POST', headers, body: body.length === 0 ? null : body });
  const text = await answer.text();
  if (answer.status !== 202) throw new Error(`${attributes.id} was answered ${answer.status}: ${text}`);
}

export function idOf(one: Told | Failed): string {
  return ('attributes' in one ? one.attributes.id : one.id) ?? '';
}
