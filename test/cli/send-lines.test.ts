import t from 'tap';
import { linesOf } from '../../cli/send/lines.ts';

t.test('lines are split at line feeds alone, wherever the chunks end', async (t) => {
  const text = 'a\r\n\nb\u2028c\nüé\n\r\nlast';
  const bytes = Buffer.from(text);
  for (let size = 1; size <= bytes.length; size++) {
    const chunks = (async function* () {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    })();
    const lines: [number, string | undefined][] = [];
    for await (const line of linesOf(chunks, 100)) lines.push([line.number, line.bytes?.toString()]);
    t.strictSame(
      lines,
      [
        [1, 'a'],
        [2, ''],
        [3, 'b\u2028c'],
        [4, 'üé'],
        [5, ''],
        [6, 'last'],
      ],
      `chunks of ${size} bytes`,
    );
  }
});

t.test('a line that is too long is told, not held, and the next ones are read', async (t) => {
  const chunks = (async function* () {
    for (let n = 0; n < 10; n++) yield Buffer.from('xxxxx');
    yield Buffer.from('\nok\n');
  })();
  const lines: (string | null)[] = [];
  for await (const { bytes } of linesOf(chunks, 8)) lines.push(bytes === null ? null : bytes.toString());
  t.strictSame(lines, [null, 'ok']);
});
