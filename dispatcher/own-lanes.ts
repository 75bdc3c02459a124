import { offsetIn } from '../broker/log/log.ts';
import { groupOf, ownStart } from '../broker/trigger/lane-spans.ts';
import { registryFreshMs } from '../broker/trigger/registry.ts';
import type { Trigger } from '../broker/trigger/trigger.ts';
import type { Timer } from '../runtime/clock.ts';
import { messageOf } from '../runtime/errors.ts';
import type { LaneOptions } from './lane/lane.ts';
import { OwnLane } from './lane/own.ts';

export interface OwnLanesOptions extends LaneOptions {
  /** Asks for `bringUp` to be called again. */
  readonly onDue: () => void;
}

/**
 * The lanes of a broker's triggers that have a consumer group of their own, in this process. A trigger that goes back
 * to the shared lane is served by its own up to the end of the topic, as it is when every process knows of the change.
 */
export class OwnLanes {
  readonly #options: OwnLanesOptions;
  /** By uid. */
  readonly #running = new Map<string, RunningLane>();
  /** Groups of triggers that don't need them any more, until the log has deleted them. */
  readonly #unneeded = new Set<string>();
  /** Revisions of triggers in the shared lane of whose own group nothing is left to be served, by uid. */
  readonly #ended = new Map<string, number>();
  #timer: Timer | undefined;

  constructor(options: OwnLanesOptions) {
    this.#options = options;
  }

  /** What runs, for the measuring of its lag. */
  get lanes(): readonly Pick<RunningLane, 'triggerUid' | 'group' | 'topics' | 'lane'>[] {
    return [...this.#running.values()];
  }

  /** Brings the lanes in step with the registry. @throws what the log throws; then it is to be called again */
  async bringUp(): Promise<void> {
    const { triggers } = this.#options.registry.snapshot();
    const deleted = [...this.#running].filter(([uid]) => !triggers.has(uid));
    await Promise.all(deleted.map(([uid, running]) => this.#forgetDeleted(uid, running)));
    await this.#deleteUnneeded();
    const own = [...triggers.values()].filter(({ laneSpans }) => laneSpans.length > 0);
    const results = await Promise.allSettled(
      own.map((trigger) => (groupOf(trigger.lane) === 'own' ? this.#serve(trigger) : this.#handBack(trigger))),
    );
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#timer?.cancel();
    await Promise.all([...this.#running.values()].map(({ lane }) => lane.close(signal)));
  }

  async #serve(trigger: Trigger): Promise<void> {
    const isOrdered = trigger.lane === 'ordered';
    const running = this.#running.get(trigger.uid);
    if (running && running.isOrdered === isOrdered && running.ending === undefined) return;
    if (running) {
      this.#running.delete(trigger.uid);
      await this.#end(running);
    }
    await this.#start(trigger, isOrdered);
  }

  async #start(trigger: Trigger, isOrdered: boolean): Promise<RunningLane> {
    const { registry } = this.#options;
    const startAt = ownStart(trigger.laneSpans) ?? { offsets: [], floors: [] };
    const { eventTopics: topics, ownGroup } = registry.topics();
    const group = ownGroup(trigger.name);
    const lane = new OwnLane({ ...this.#options, triggerUid: trigger.uid, group, topics, startAt, isOrdered });
    await lane.start();
    const running: RunningLane = { lane, triggerUid: trigger.uid, group, topics, isOrdered, ending: undefined };
    this.#running.set(trigger.uid, running);
    this.#unneeded.delete(group);
    return running;
  }

  /** The shared lane serves the trigger again; this one still serves what comes before every process knows that. */
  async #handBack(trigger: Trigger): Promise<void> {
    const { clock, log } = this.#options;
    if (this.#ended.get(trigger.uid) === trigger.laneSpans.length) return;
    const running = this.#running.get(trigger.uid) ?? (await this.#resumeHandBack(trigger));
    if (!running) {
      this.#ended.set(trigger.uid, trigger.laneSpans.length);
      return;
    }
    running.ending ??= { knownAtMs: clock.monotonic() + registryFreshMs, isSet: false };
    const { ending } = running;
    if (!ending.isSet && clock.monotonic() >= ending.knownAtMs) {
      const ranges = running.topics.map(async (topic) => [topic, await log.ranges(topic)] as const);
      running.lane.endAt(new Map(await Promise.all(ranges)));
      ending.isSet = true;
    }
    if (!ending.isSet || !running.lane.isAtEnd) {
      this.#lookAgain();
      return;
    }
    this.#running.delete(trigger.uid);
    await this.#end(running);
    this.#ended.set(trigger.uid, trigger.laneSpans.length);
    this.#unneeded.add(running.group);
    await this.#deleteUnneeded();
  }

  /** After a restart in the middle of it: the group's commits tell that it is not over. */
  async #resumeHandBack(trigger: Trigger): Promise<RunningLane | undefined> {
    const { log, registry } = this.#options;
    const { eventTopics, ownGroup } = registry.topics();
    const floors = ownStart(trigger.laneSpans)?.floors ?? [];
    for (const topic of eventTopics) {
      const commits = await log.committed(ownGroup(trigger.name), topic);
      const holds = commits.some(({ partition, offset }) => offset >= offsetIn(floors, { topic, partition }));
      if (holds) return this.#start(trigger, false);
    }
    return undefined;
  }

  async #forgetDeleted(uid: string, running: RunningLane): Promise<void> {
    running.lane.abandon();
    this.#running.delete(uid);
    await this.#end(running);
    this.#unneeded.add(running.group);
  }

  /** What is still in flight then is left to whoever reads the group next. */
  async #end({ lane }: RunningLane): Promise<void> {
    const late = new AbortController();
    const timer = this.#options.clock.setTimer(() => late.abort(), endMs);
    await lane.close(late.signal);
    timer.cancel();
  }

  /** Another process may still be a member of the group: then it is the last to leave that deletes it. */
  async #deleteUnneeded(): Promise<void> {
    const { log, logger } = this.#options;
    for (const group of this.#unneeded) {
      try {
        await log.deleteGroup(group);
        this.#unneeded.delete(group);
      } catch (error) {
        logger.debug({ group, error: messageOf(error) }, 'group not deleted yet');
      }
    }
  }

  #lookAgain(): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.setTimer(() => this.#options.onDue(), lookAgainMs);
  }
}

interface RunningLane {
  readonly lane: OwnLane;
  readonly triggerUid: string;
  readonly group: string;
  readonly topics: readonly string[];
  readonly isOrdered: boolean;
  /** Since the shared lane serves the trigger again. */
  ending: { readonly knownAtMs: number; isSet: boolean } | undefined;
}

/** A lane that ends waits this long for what is in flight. */
const endMs = 5_000;

/** While a lane comes to its end: that takes some seconds in all. */
const lookAgainMs = 500;
