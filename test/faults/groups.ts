import type { Log } from '../../broker/log/log.ts';
import type { BrokerTopics } from '../../broker/topics.ts';
import { readTopic } from '../support/topics.ts';
import type { FaultTrigger } from './stage.ts';

/** The consumer group that reads the events topic for each trigger, by the uids that the registry gave them. */
export async function groupsOf(
  log: Log,
  topics: BrokerTopics,
  triggers: readonly FaultTrigger[],
): Promise<ReadonlyMap<FaultTrigger, string>> {
  const uids = new Map<string, string>();
  for (const { key, value } of await readTopic(log, topics.triggers)) {
    uids.set(String(key), (JSON.parse(String(value)) as { uid: string }).uid);
  }
  return new Map(
    triggers.map((trigger) => {
      const { name, lane } = trigger;
      const uid = uids.get(`trigger/${name}`) ?? 'never applied';
      return [trigger, lane === 'shared' ? topics.sharedGroup : topics.ownGroup({ name, uid })];
    }),
  );
}
