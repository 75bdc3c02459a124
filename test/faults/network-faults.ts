import { setTimeout as delay } from 'node:timers/promises';
import type { FaultyProxy } from '../support/kafka/proxy.ts';
import { type Action, type Actions, pick, type Trouble } from './stage.ts';

/** So often connections are cut while they are to be, in milliseconds. */
const cutEveryMs = 700;
/** Added in each direction, in milliseconds. */
const latencyMaxMs = 400;

/** What can be done between Posthorn and Kafka. @param proxies by Posthorn, by broker */
export function networkFaults(proxies: readonly (readonly FaultyProxy[])[]): Actions {
  const choose = (slotDice: number, brokerDice: number): { what: string; chosen: readonly FaultyProxy[] } => {
    // One process in two of three, else all; one broker in every other case, else all.
    const slot = pick(slotDice * 1.5, proxies.length);
    const broker = pick(brokerDice * 2, proxies[0]?.length ?? 0);
    const its = proxies[slot] ?? proxies.flat();
    const chosen = slot < proxies.length ? its : proxies.flat();
    const count = proxies[0]?.length ?? 0;
    const what = `${slot < proxies.length ? `Posthorn ${slot + 1}` : 'all Posthorns'}, ${
      broker < count ? `broker ${broker + 1}` : 'all brokers'
    }`;
    return { what, chosen: broker < count ? chosen.filter((_, index) => index % count === broker) : chosen };
  };
  const inMode =
    (mode: 'swallow' | 'freeze'): Action =>
    async ({ dice }) => {
      const { what, chosen } = choose(dice[0], dice[1]);
      for (const proxy of chosen) proxy.mode(mode);
      const end = (): void => {
        for (const proxy of chosen) proxy.mode('pass');
        // A firewall that forgot a connection answers with a reset: in half of the cases they go on as they were.
        if (dice[2] < 0.5) for (const proxy of chosen) proxy.cut();
      };
      return { what, end };
    };
  const cutting =
    (part: 'request' | 'answer'): Action =>
    async ({ dice }) => {
      const { what, chosen } = choose(dice[0], dice[1]);
      return { what, end: repeat(() => chosen.forEach((proxy) => void proxy.cutWithin(part, dice[2]))) };
    };
  return {
    'cut-request': cutting('request'),
    'cut-answer': cutting('answer'),
    swallow: inMode('swallow'),
    'black-hole': inMode('freeze'),
    async latency({ dice }) {
      const { what, chosen } = choose(dice[0], dice[1]);
      const ms = 20 + pick(dice[2], latencyMaxMs - 20);
      for (const proxy of chosen) proxy.latency(ms);
      const end = (): void => {
        for (const proxy of chosen) proxy.latency(0);
      };
      return { what: `${what}, ${ms} ms`, end };
    },
  };
}

/** Does it now and again and again; the one who called ends that. */
function repeat(act: () => void): Trouble['end'] {
  const stop = new AbortController();
  const repeating = (async () => {
    while (!stop.signal.aborted) {
      act();
      await delay(cutEveryMs, undefined, { signal: stop.signal }).catch(() => {});
    }
  })();
  return () => {
    stop.abort();
    return repeating;
  };
}
