import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { PostOrder, PostReport } from './post-main.ts';

/** Requests from a process of their own, until they are stopped. */
export interface Posting {
  /** Waits for the answers of what was sent, and ends the process. */
  stop(): Promise<PostReport>;
}

/** Resolves at the first answer. @throws Error if the process ends before it */
export async function startPosting(order: PostOrder): Promise<Posting> {
  const child = fork(new URL('./post-main.ts', import.meta.url), { serialization: 'advanced' });
  const ended = once(child, 'exit').then(() => {
    throw new Error('the process that posts has ended');
  });
  child.send(order);
  await Promise.race([once(child, 'message'), ended]);
  return {
    async stop() {
      const reply = once(child, 'message');
      child.send('stop');
      const [report] = (await Promise.race([reply, ended])) as [PostReport];
      child.disconnect();
      await ended.catch(() => {});
      return report;
    },
  };
}

/** A POST of `body` with these headers, whole. */
export function postRequest(headers: Readonly<Record<string, string>>, body: Buffer): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `POST / HTTP/1.1\r\nhost: 127.0.0.1\r\n${lines.join('')}content-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}
