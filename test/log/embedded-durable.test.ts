import { closeSync, cpSync, openSync, readdirSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Log } from '../../broker/log/log.ts';
import { readAll, valuesOf } from './conformance/harness.ts';
import { kill, openLog, readLines, startWriter } from './embedded/open.ts';

t.test('what was acknowledged before a kill -9 is there, in order and without gaps', async (t) => {
  const directory = t.testdir();
  let acknowledged: number[] = [];
  for (const round of [1, 2, 3]) {
    const writer = startWriter(directory);
    const enough = acknowledged.length + 300;
    const lines = await readLines(writer, (line) => line === 'open' || Number(line) < enough);
    lines.push(...(await kill(writer)));
    acknowledged = acknowledged.concat(lines.filter((line) => /^\d+$/.test(line)).map(Number));
    const log = await openLog(directory);
    const values = await held(log);
    await log.close();
    const found = new Set(values);
    t.strictSame(
      acknowledged.filter((number) => !found.has(number)),
      [],
      `round ${round}: nothing is missing`,
    );
    t.equal(found.size, values.length);
  }
});

t.test('a write-ahead log with a torn tail opens with all that lies before the tear', async (t) => {
  const original = join(t.testdir(), 'original');
  // Before the first checkpoint, after which the file would hold little of it, at an unknown place.
  const last = 300;
  const writer = startWriter(original, last);
  await readLines(writer, (line) => line !== String(last));
  await kill(writer);
  const wal = readdirSync(original).find((name) => name.endsWith('-wal')) ?? 'none';
  const bytes = statSync(join(original, wal)).size;
  const all = await copyAndOpen(original, 'untouched', () => {});
  t.strictSame(
    all,
    Array.from({ length: last + 1 }, (_, number) => number),
  );

  for (const [name, tornBytes] of Object.entries({ byte: 1, page: 5_000, half: Math.floor(bytes / 2) })) {
    const cut = await copyAndOpen(original, `cut-${name}`, (file) => truncateSync(file, bytes - tornBytes));
    t.strictSame(cut, all.slice(0, cut.length), `cut by ${tornBytes} bytes: what is there is the beginning`);
    t.ok(cut.length > 0 && cut.length < all.length);
    const garbled = await copyAndOpen(original, `garbled-${name}`, (file) => garble(file, bytes - tornBytes));
    t.strictSame(garbled, all.slice(0, garbled.length), `garbled in the last ${tornBytes} bytes: likewise`);
    t.ok(garbled.length > 0 && garbled.length < all.length);
  }
  const longer = await copyAndOpen(original, 'longer', (file) => {
    writeFileSync(file, Buffer.alloc(10_000, 0xa5), { flag: 'a' });
  });
  t.strictSame(longer, all, 'what was never finished behind the end is no matter');

  async function copyAndOpen(from: string, name: string, damage: (file: string) => void): Promise<number[]> {
    const directory = join(from, '..', name);
    cpSync(from, directory, { recursive: true });
    damage(join(directory, wal));
    const log = await openLog(directory);
    const values = await held(log);
    const next = await log.append('numbers', 0, [{ key: null, value: null, headers: {} }]);
    if (next !== values.length) throw new Error(`the next offset is ${next}, but ${values.length} records are held`);
    await log.close();
    return values;
  }
});

async function held(log: Log): Promise<number[]> {
  return valuesOf(await readAll(log, 'numbers', 0)).map(Number);
}

function garble(file: string, from: number): void {
  const length = statSync(file).size - from;
  const handle = openSync(file, 'r+');
  writeSync(handle, Buffer.alloc(length, 0x5a), 0, length, from);
  closeSync(handle);
}
