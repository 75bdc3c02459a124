import type { CloudEvent } from '../../event/event.ts';
import type { Trigger } from '../trigger/trigger.ts';
import { type Triggers, TriggerTree } from './index/trigger-tree.ts';

/**
 * Finds the triggers that an event passes without asking those that it can't pass. The answer is what `passes` gives for
 * each.
 */
export class TriggerIndex {
  readonly #triggers: Triggers;
  readonly #tree: TriggerTree;

  /**
   * @param triggers with different uids; not to be changed any more
   * @param tree shared by indexes of which mostly the last is asked, so that each is made of the one before it; it costs
   *   some milliseconds when another than before is asked
   */
  constructor(triggers: Triggers, tree = new TriggerTree()) {
    this.#triggers = triggers;
    this.#tree = tree;
  }

  /** The triggers whose filters the event passes, in the order of namespace and name. Never throws. */
  match(event: CloudEvent): Trigger[] {
    this.#tree.hold(this.#triggers);
    return this.#tree.match(event);
  }

  /** How many triggers are asked one by one, for every event or for every one that has some attribute. */
  get unindexed(): number {
    this.#tree.hold(this.#triggers);
    return this.#tree.unindexed;
  }
}
