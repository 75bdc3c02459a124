import { onePartition, openLog } from './open.ts';

const [, , directory = '', last = 'Infinity'] = process.argv;
const log = await openLog(directory);
process.stdout.write('open\n');
await log.ensureTopics(['numbers'], onePartition);
const [range] = await log.ranges('numbers');
let next = range?.end ?? 0;

async function append(): Promise<void> {
  while (next <= Number(last)) {
    const number = next++;
    await log.append('numbers', 0, [{ key: null, value: Buffer.from(String(number)), headers: {} }]);
    process.stdout.write(`${number}\n`);
  }
}

await Promise.all(Array.from({ length: 20 }, append));
