import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** CRC-32C (Castagnoli), without a sign. */
export type Crc32c = (bytes: Buffer) => number;

/** kafkajs's, in JavaScript: ten times the time. */
export const portableCrc32c = require('kafkajs/src/protocol/recordBatch/crc32C/index.js') as Crc32c;

/** In machine code where there is a build for this platform. */
export const crc32c: Crc32c = native() ?? portableCrc32c;

function native(): Crc32c | null {
  try {
    return (require('@node-rs/crc32') as { crc32c: Crc32c }).crc32c;
  } catch {
    return null;
  }
}
