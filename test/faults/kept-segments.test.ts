import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { KeptSegments } from './kept-segments.ts';

t.test('what a broker had of a retry topic is there after it has thrown it away', (t) => {
  const directory = mkdtempSync(path.join(tmpdir(), 'posthorn-test-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const dataDirectories = ['node-1', 'node-2'].map((node) => path.join(directory, node));
  const topic = 'p.default.default._retry.moody';
  const write = (node: number, name: string, segment: string, text: string): string => {
    const folder = path.join(dataDirectories[node] ?? '', `${name}-0`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, segment), text);
    return path.join(folder, segment);
  };
  const first = write(0, topic, '0.log', 'first');
  write(0, topic, '0.index', 'no records');
  write(0, 'p.default.default', '0.log', 'events');
  write(1, topic, '0.log', 'second');
  const segments = new KeptSegments({ dataDirectories }, 'p.default.default._retry.', path.join(directory, 'kept'));
  const texts = () => segments.filesOf(topic).map((file) => readFileSync(file, 'utf8'));
  t.strictSame(texts(), ['first', 'second']);
  segments.keep(0);
  rmSync(first);
  write(0, topic, '7.log', 'later');
  t.strictSame(texts(), ['first', 'later', 'second']);
  t.strictSame(segments.filesOf('p.default.default._retry.steady'), []);
  t.end();
});
