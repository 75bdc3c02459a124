import type { Kill } from './account.ts';
import type { FaultLedger } from './ledger.ts';
import type { Member } from './member.ts';
import { type Action, type Actions, pick } from './stage.ts';

export interface ProcessFaultsOptions {
  readonly members: readonly Member[];
  readonly ledger: FaultLedger;
  readonly onKill: (kill: Kill) => void;
  /** Called when a process has ended, before it is started again. */
  readonly onEnd?: (member: Member) => Promise<void>;
  /** Called when a process was killed, before `onEnd`. */
  readonly onTear?: () => string;
}

/** The clock jumps by so many seconds: within what a policy's delays explain, and far beyond. */
const jumpsSeconds = [-7_200, -90, -5, 5, 90, 7_200];

/** What can be done to the Posthorn processes on any log. */
export function processFaults({ members, ledger, onKill, onEnd, onTear }: ProcessFaultsOptions): Actions {
  const at = (dice: number): Member => {
    const member = members[pick(dice, members.length)];
    if (member === undefined) throw new Error('there are no members');
    return member;
  };
  const again = async (member: Member): Promise<void> => {
    await onEnd?.(member);
    await member.start();
  };
  const killWith =
    (tear: (() => string) | undefined): Action =>
    async ({ dice }) => {
      const member = at(dice[0]);
      await member.kill((life) => onKill({ life, atMs: life.endedAtMs ?? 0, open: [...ledger.open] }));
      return { what: `Posthorn ${member.slot}${tear === undefined ? '' : `, ${tear()}`}`, end: () => again(member) };
    };
  return {
    kill: killWith(undefined),
    ...(onTear && { 'torn-write': killWith(onTear) }),
    async stop({ dice }) {
      const member = at(dice[0]);
      member.pause();
      return { what: `Posthorn ${member.slot}`, end: () => member.resume() };
    },
    async restart({ dice }) {
      const member = at(dice[0]);
      await member.leave();
      return { what: `Posthorn ${member.slot}`, end: () => again(member) };
    },
    async clock({ dice }) {
      const member = at(dice[0]);
      const seconds = jumpsSeconds[pick(dice[1], jumpsSeconds.length)] ?? 0;
      member.setClock(seconds);
      return { what: `Posthorn ${member.slot}, by ${seconds} s`, end: () => member.setClock(0) };
    },
  };
}
