import { setFlagsFromString } from 'node:v8';

/**
 * Node 24 cuts small buffers from pieces of 64 KiB, and a record that waits keeps its whole piece. Of a subscriber that
 * was down 165 records of 1 KB kept 11 MB, which had V8 collect its whole heap every 0.7 s. In bytes.
 */
const bufferPoolBytes = 8_192;

/**
 * V8 begins to collect its whole heap when there is no more room for old objects than its young generation takes, which
 * beside 30 MB that live was so after 3 MB more: every 1.5 to 3 s at 2,000 events a second, each for 30 to 60 ms with a
 * second thread. With this it begins when that many percent of the room are taken, and the room stays as large as V8
 * makes it: a collection every 10 s, and p99 from sending to arrival 5.4 ms in place of 9.3 (docs/performance.md).
 */
const takenPercent = 70;

/** Has this process collect its garbage less often. To be called before much is allocated; a Node without it says so. */
export function collectLessOften(): void {
  Buffer.poolSize = bufferPoolBytes;
  setFlagsFromString(`--incremental-marking-soft-trigger=${takenPercent}`);
}
