import type { Delivery, Hold } from '../fate.ts';

/**
 * What is on its way to the retry topics of busy triggers. One whose retry topic can't be written may hold a quarter of
 * the lane's window with it, so that three others have their part still.
 */
export class Spills {
  readonly #recordsMax: number;
  readonly #bytesMax: number;
  readonly #onRoom: () => void;
  /** By the trigger's uid. */
  readonly #underWay = new Map<string, { records: number; bytes: number }>();
  /** Uids for which there was no room. */
  readonly #refused = new Set<string>();

  /**
   * @param window what the lane may hold in all
   * @param onRoom called where there was no room for a trigger and half of its part is free again
   */
  constructor(
    { recordsMax, bytesMax }: { readonly recordsMax: number; readonly bytesMax: number },
    onRoom: () => void,
  ) {
    this.#recordsMax = recordsMax * triggerShare;
    this.#bytesMax = bytesMax * triggerShare;
    this.#onRoom = onRoom;
  }

  /** Whether the trigger's part is not full. */
  hasRoomFor(uid: string): boolean {
    const underWay = this.#underWay.get(uid);
    const hasRoom = !underWay || (underWay.records < this.#recordsMax && underWay.bytes < this.#bytesMax);
    if (!hasRoom) this.#refused.add(uid);
    return hasRoom;
  }

  /** Counts the delivery until its hold is settled or dropped. @returns the hold to be used from now on */
  holdOf({ trigger: { uid }, event }: Delivery, hold: Hold): Hold {
    // 512 stands for what is around the data, as in the window.
    const bytes = 512 + (event.data?.length ?? 0);
    const underWay = this.#underWay.get(uid) ?? { records: 0, bytes: 0 };
    this.#underWay.set(uid, underWay);
    underWay.records++;
    underWay.bytes += bytes;
    const done = (): void => {
      underWay.records--;
      underWay.bytes -= bytes;
      if (underWay.records === 0) this.#underWay.delete(uid);
      const isHalfFree = underWay.records <= this.#recordsMax / 2 && underWay.bytes <= this.#bytesMax / 2;
      if (isHalfFree && this.#refused.delete(uid)) this.#onRoom();
    };
    return {
      get isRevoked() {
        return hold.isRevoked;
      },
      settle() {
        hold.settle();
        done();
      },
      drop() {
        hold.drop();
        done();
      },
    };
  }
}

const triggerShare = 1 / 4;
