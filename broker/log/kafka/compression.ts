import { promisify } from 'node:util';
import { gunzip, zstdDecompress } from 'node:zlib';

const codecs: Readonly<Record<number, (bytes: Buffer) => Promise<Buffer>>> = {
  0: async (bytes) => bytes,
  1: promisify<Buffer, Buffer>(gunzip),
  2: unsnap,
  3: unlz4,
  4: promisify<Buffer, Buffer>(zstdDecompress),
};

/**
 * Reads the records of a batch, whatever its producer compressed it with.
 * @param codec the number that Kafka's record batch has for it: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd
 */
export async function decompress(codec: number, bytes: Buffer): Promise<Buffer> {
  const read = codecs[codec];
  if (read === undefined) throw new Error(`a batch is compressed with a codec that Kafka has no name for (${codec})`);
  return read(bytes);
}

/** What Java producers write before blocks of snappy, from the library xerial: a mark, a version, a compatible version. */
const xerialMark = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const xerialHeaderBytes = 16;

// The two libraries are loaded when first needed: they are native, and most clusters use neither.
async function unsnap(bytes: Buffer): Promise<Buffer> {
  const { uncompress } = await import('snappy');
  const plain = async (block: Buffer): Promise<Buffer> => Buffer.from(await uncompress(block));
  if (!bytes.subarray(0, xerialMark.length).equals(xerialMark)) return plain(bytes);
  const blocks: Buffer[] = [];
  for (let at = xerialHeaderBytes; at < bytes.length; ) {
    const length = bytes.readInt32BE(at);
    blocks.push(await plain(bytes.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return Buffer.concat(blocks);
}

async function unlz4(bytes: Buffer): Promise<Buffer> {
  const { decompressFrame } = await import('lz4-napi');
  return decompressFrame(bytes);
}
