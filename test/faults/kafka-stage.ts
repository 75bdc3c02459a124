import { randomInt } from 'node:crypto';
import path from 'node:path';
import { openKafkaLog } from '../../broker/log/kafka/kafka-log.ts';
import type { Log } from '../../broker/log/log.ts';
import { brokerTopics } from '../../broker/topics.ts';
import { type KafkaCluster, startKafkaCluster } from '../support/kafka/cluster.ts';
import { type FaultyProxy, startProxy } from '../support/kafka/proxy.ts';
import { silent } from '../support/silent.ts';
import { BrokerFaults } from './broker-faults.ts';
import { DeadLetters } from './dead-letters.ts';
import type { GivenUp } from './handovers.ts';
import { kafkaRemains } from './kafka-remains.ts';
import { KeptSegments } from './kept-segments.ts';
import { addressOf, type LogLine, Member, slotOf } from './member.ts';
import { networkFaults } from './network-faults.ts';
import { processFaults } from './process-faults.ts';
import { livesOf, pick, type Stage, type StageOptions } from './stage.ts';

const nodes = 3;
const memberCount = 3;
/** The slots of the members, and of one that joins and leaves. */
const slots = [1, 2, 3, 4];

/**
 * Three brokers and three Posthorns, and between each two of them a proxy. What only tests need of Kafka: leaders go
 * back to the first of the replicas within a second, and the history of the groups is kept in whole.
 */
export async function startKafkaStage(options: StageOptions): Promise<Stage> {
  const { directory, guardian, ledger, triggers, fakeTime, onLine, onKill } = options;
  const proxies = new Map<number, FaultyProxy[]>();
  let cluster: KafkaCluster | undefined;
  let log: Log | undefined;
  const close = async (): Promise<void> => {
    await log?.close();
    await cluster?.stop();
    await Promise.all([...proxies.values()].flat().map((proxy) => proxy.close()));
    proxies.clear();
  };
  try {
    for (const slot of slots) {
      const its = Array.from({ length: nodes }, () => startProxy({ localAddress: addressOf(slot) }));
      proxies.set(slot, await Promise.all(its));
    }
    cluster = await startKafkaCluster({
      nodes,
      listeners: Object.fromEntries([...proxies].map(([slot, its]) => [`SLOT${slot}`, its.map(({ port }) => port)])),
      properties: {
        'leader.imbalance.check.interval.seconds': 1,
        'leader.imbalance.per.broker.percentage': 0,
        'offsets.topic.segment.bytes': 1_073_741_824,
      },
    });
    for (const [slot, its] of proxies) {
      for (const [node, proxy] of its.entries()) proxy.forwardTo(cluster.listenerPorts[node]?.[`SLOT${slot}`] ?? 0);
    }
    log = await openKafkaLog({ brokers: cluster.brokers, logger: silent });
  } catch (error) {
    await close();
    throw error;
  }

  const prefix = `faults${randomInt(1_000_000)}`;
  const topics = brokerTopics(prefix, { namespace: 'default', name: 'default' });
  const givenUp: GivenUp[] = [];
  const watch = (slot: number, line: LogLine): void => {
    const one = givenUpIn(slot, line);
    if (one !== null) givenUp.push(one);
    onLine(slot, line);
  };
  const newMember = (slot: number): Member => {
    const brokers = (proxies.get(slot) ?? []).map(({ port }) => `127.0.0.1:${port}`).join();
    const clock = fakeTime === null ? null : { library: fakeTime, file: path.join(directory, `clock-${slot}`) };
    return new Member({ slot, args: ['--kafka', brokers, '--prefix', prefix], clock, guardian, onLine: watch });
  };
  const members = slots.slice(0, memberCount).map(newMember);
  const guests = slots.slice(memberCount).map(newMember);
  const deadLetters = new DeadLetters(log, topics.deadLetter);
  const kept = path.join(path.dirname(cluster.dataDirectories[0] ?? ''), 'kept');
  const segments = new KeptSegments(cluster, topics.retryPrefix, kept);
  const brokerFaults = new BrokerFaults({ cluster, topics, segments });

  return {
    members,
    guests,
    actions: {
      ...processFaults({ members, ledger, onKill }),
      ...networkFaults(members.map(({ slot }) => proxies.get(slot) ?? [])),
      ...brokerFaults.actions(),
      async join({ dice }) {
        const guest = guests[pick(dice[0], guests.length)];
        await guest?.start();
        return { what: `Posthorn ${guest?.slot}`, end: () => guest?.leave() };
      },
    },
    async heal() {
      for (const proxy of [...proxies.values()].flat()) {
        proxy.mode('pass');
        proxy.latency(0);
      }
      await brokerFaults.heal();
    },
    async isDone(outstanding) {
      await deadLetters.read();
      return [...outstanding].every(([trigger, events]) => {
        const letters = deadLetters.byTrigger.get(trigger);
        return events.every((event) => letters?.has(event));
      });
    },
    remains: () =>
      kafkaRemains({
        segments,
        log,
        topics,
        ledger,
        triggers,
        lives: livesOf([...members, ...guests]),
        slotOf,
        givenUp,
      }),
    close,
  };
}

/** What a log line says of a group's partitions that were given up (to join again); null if it says nothing of that. */
function givenUpIn(slot: number, { msg, group, error }: LogLine): GivenUp | null {
  const message = JSON.stringify(error);
  const isLoss = msg === 'consumer disturbed, is being repaired' && !/fetching from|can't be read/.test(message);
  if (!isLoss || typeof group !== 'string') return null;
  const wasMember = !/"(joining|reading the positions of) group /.test(message);
  return { group, slot, atMs: Date.now(), wasMember };
}
