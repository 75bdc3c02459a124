import { offsetIn, type PartitionOffset } from '../broker/log/log.ts';
import { ownStart } from '../broker/trigger/lane-spans.ts';
import { registryFreshMs } from '../broker/trigger/registry.ts';
import { handBackRecord } from '../broker/trigger/registry-state.ts';
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
 * Until the registry holds that this is done, every process that knows of the trigger begins the lane anew: the group
 * may never have come to commit anything.
 *
 *   goes back ──▶ every process knows: the ends ──▶ all commits are there ──▶ told in the registry ──▶ lane and group end
 */
export class OwnLanes {
  readonly #options: OwnLanesOptions;
  /** By uid. */
  readonly #running = new Map<string, RunningLane>();
  /** Groups of triggers that don't need them any more, until the log has deleted them. */
  readonly #unneeded = new Set<string>();
  /** Triggers of whose group it is known that it is needed no more: whoever told so may not have come to delete it. */
  readonly #served = new Set<string>();
  #timer: (Timer & { readonly atMs: number }) | undefined;
  #isClosed = false;

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
    const deleted = [...this.#running.values()].filter(({ triggerUid }) => !triggers.has(triggerUid));
    for (const { lane } of deleted) lane.abandon();
    await Promise.all(deleted.map((running) => this.#drop(running)));
    const own = [...triggers.values()].filter(({ laneSpans }) => laneSpans.length > 0);
    const results = await Promise.allSettled(
      own.map((trigger) => (isOwn(trigger) ? this.#serve(trigger) : this.#handBack(trigger))),
    );
    await this.#deleteUnneeded();
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await Promise.all([...this.#running.values()].map(({ lane }) => lane.close(signal)));
  }

  async #serve(trigger: Trigger): Promise<void> {
    const isOrdered = trigger.lane === 'ordered';
    const running = this.#running.get(trigger.uid);
    const isSame = running?.isOrdered === isOrdered && running.ending === undefined;
    if (!isSame || !this.#readsAll(running)) await this.#restart(trigger, isOrdered);
  }

  /** default/default may have got its external topics after the lane began. */
  #readsAll({ topics }: RunningLane): boolean {
    return topics.join() === this.#options.registry.topics().eventTopics.join();
  }

  async #restart(trigger: Trigger, isOrdered: boolean): Promise<RunningLane> {
    const before = this.#running.get(trigger.uid);
    this.#running.delete(trigger.uid);
    if (before) await this.#end(before);
    const { registry } = this.#options;
    const startAt = ownStart(trigger.laneSpans) ?? [];
    const { eventTopics: topics, ownGroup } = registry.topics();
    const group = ownGroup(trigger);
    this.#unneeded.delete(group);
    this.#served.delete(trigger.uid);
    const lane = new OwnLane({ ...this.#options, triggerUid: trigger.uid, group, topics, startAt, isOrdered });
    await lane.start();
    const running: RunningLane = { lane, triggerUid: trigger.uid, group, topics, isOrdered, ending: undefined };
    this.#running.set(trigger.uid, running);
    return running;
  }

  /** The shared lane serves the trigger again; this one still serves what comes before every process knows that. */
  async #handBack(trigger: Trigger): Promise<void> {
    const { uid, laneSpans } = trigger;
    let running = this.#running.get(uid);
    if (ownStart(laneSpans) === null) {
      if (running) await this.#drop(running);
      else if (!this.#served.has(uid)) this.#unneeded.add(this.#options.registry.topics().ownGroup(trigger));
      this.#served.add(uid);
      return;
    }
    // If it was the trigger's again meanwhile, what the lane has left alone may be its own now.
    const isSame = running?.ending === undefined || running.ending.laneSpans === laneSpans.length;
    if (!running || !isSame || !this.#readsAll(running)) running = await this.#restart(trigger, false);
    const { clock, log } = this.#options;
    running.ending ??= endingOf(laneSpans.length, clock.monotonic() + registryFreshMs);
    const { ending } = running;
    if (ending.ends === null && clock.monotonic() >= ending.knownAtMs) {
      // Never below where the shared lane begins, whatever a broker says that leads no more.
      const least = laneSpans.at(-1)?.from ?? [];
      const endsOf = async (topic: string) => {
        const ends = await log.ends(topic);
        return ends.map(({ partition, offset }) => {
          return { partition, offset: Math.max(offset, offsetIn(least, { topic, partition })) };
        });
      };
      ending.ends = new Map(
        await Promise.all(running.topics.map(async (topic) => [topic, await endsOf(topic)] as const)),
      );
      running.lane.endAt(ending.ends);
    }
    if (ending.isTold) return;
    if (ending.ends && (await this.#isServedUpTo(ending.ends, running, trigger))) {
      await this.#tellServed(trigger);
      ending.isTold = true;
    } else this.#lookAgain(ending);
  }

  /** Whether the group has committed all that is below the ends, whichever processes its members are. */
  async #isServedUpTo(ends: Ends, { lane, group }: RunningLane, { laneSpans }: Trigger): Promise<boolean> {
    if (!lane.isAtEnd) return false;
    const start = ownStart(laneSpans) ?? [];
    for (const [topic, offsets] of ends) {
      const commits = await this.#options.log.committed(group, topic);
      const positions = new Map(commits.map(({ partition, offset }) => [partition, offset]));
      const isShort = ({ partition, offset }: PartitionOffset): boolean => {
        return Math.max(positions.get(partition) ?? 0, offsetIn(start, { topic, partition })) < offset;
      };
      if (offsets.some(isShort)) return false;
    }
    return true;
  }

  async #tellServed({ uid, name, laneSpans }: Trigger): Promise<void> {
    const { log, registry, clock } = this.#options;
    const record = handBackRecord(name, { uid, laneSpans: laneSpans.length, atMs: clock.now() });
    await log.append(registry.topics().triggers, 0, [record]);
    // Not awaited, for it repeats what fails: the change of the registry brings the lanes up again.
    registry.refresh().catch(() => {});
  }

  async #drop(running: RunningLane): Promise<void> {
    this.#running.delete(running.triggerUid);
    this.#unneeded.add(running.group);
    await this.#end(running);
  }

  /** What is still in flight then is left to whoever reads the group next. */
  async #end({ lane }: RunningLane): Promise<void> {
    const late = new AbortController();
    const timer = this.#options.clock.setTimer(() => late.abort(), endMs);
    try {
      await lane.close(late.signal);
    } finally {
      timer.cancel();
    }
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

  /** When the ends can be known, and then less and less often: a subscriber may be down for days. */
  #lookAgain(ending: Ending): void {
    const { clock, onDue } = this.#options;
    const nowMs = clock.monotonic();
    if (ending.ends !== null) ending.looks++;
    const delayMs =
      ending.ends === null ? ending.knownAtMs - nowMs : Math.min(lookAgainMs * 2 ** ending.looks, lookAgainMaxMs);
    const atMs = nowMs + Math.max(0, delayMs);
    if (this.#isClosed || (this.#timer && this.#timer.atMs > nowMs && this.#timer.atMs <= atMs)) return;
    this.#timer?.cancel();
    const timer = clock.setTimer(onDue, atMs - nowMs);
    this.#timer = { atMs, cancel: () => timer.cancel() };
  }
}

interface RunningLane {
  readonly lane: OwnLane;
  readonly triggerUid: string;
  readonly group: string;
  readonly topics: readonly string[];
  readonly isOrdered: boolean;
  /** Since the shared lane serves the trigger again. */
  ending: Ending | undefined;
}

interface Ending {
  /** How many lane spans the trigger has, of which the last is shared. */
  readonly laneSpans: number;
  /** On the monotonic clock: by then every process knows of it. */
  readonly knownAtMs: number;
  /** What the lane has to serve yet ends here; null before that time. */
  ends: Ends | null;
  /** Whether the registry was told that it is served. */
  isTold: boolean;
  /** How often it was looked whether it is. */
  looks: number;
}

function isOwn({ laneSpans }: Trigger): boolean {
  return laneSpans.at(-1)?.group === 'own';
}

function endingOf(laneSpans: number, knownAtMs: number): Ending {
  return { laneSpans, knownAtMs, ends: null, isTold: false, looks: 0 };
}

/** By topic. */
type Ends = ReadonlyMap<string, readonly PartitionOffset[]>;

/** A lane that ends waits this long for what is in flight. */
const endMs = 5_000;

/** While a lane comes to its end: | look 2: after 1 s | 3: 2 s | 4: 4 s | ... | 7 and on: 30 s | */
const lookAgainMs = 500;
const lookAgainMaxMs = 30_000;
