import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Contestant } from './contestant.ts';

/** The contestant while a process that has nothing to do with it keeps a core busy: what a fuller machine costs it. */
export function besideBusy(contestant: Contestant, name: string): Contestant {
  return {
    name,
    async prepare(brokers, url) {
      const { topic, start } = await contestant.prepare(brokers, url);
      return {
        topic,
        async start(nodeArgs) {
          const running = await start(nodeArgs);
          const busy = fork(new URL('../traffic/busy-main.ts', import.meta.url));
          const endBoth = async <T>(ending: Promise<T>): Promise<T> => {
            try {
              return await ending;
            } finally {
              await endOf(busy);
            }
          };
          return { ...running, stop: () => endBoth(running.stop()), kill: () => endBoth(running.kill()) };
        },
      };
    },
  };
}

async function endOf(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.disconnect();
  await exited;
}
