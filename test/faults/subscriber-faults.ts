import { type Action, type Actions, pick } from './stage.ts';
import type { Manner, Subscriber } from './subscriber.ts';

const manners = ['hang', 'dribble', 'reset', 'huge', 'garbage', 'redirect', 'refuse', 'flap'] as const;

/** The first of those to whom it happens is hit in so many cases, and by its chance among all in the others. */
const firstShare = 0.6;

/** What subscribers can do to Posthorn. @param moody those to whom it happens */
export function subscriberFaults(moody: readonly (readonly [string, Subscriber])[]): Actions {
  const inManner =
    (manner: Manner): Action =>
    async ({ dice }) => {
      const index = dice[0] < firstShare ? 0 : pick((dice[0] - firstShare) / (1 - firstShare), moody.length);
      const [name, subscriber] = moody[index] ?? [];
      await subscriber?.behave(manner);
      return { what: `subscriber of ${name}`, end: () => subscriber?.behave('good') };
    };
  return Object.fromEntries(manners.map((manner) => [manner, inManner(manner)]));
}
