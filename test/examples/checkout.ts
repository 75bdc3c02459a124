import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';

const root = path.resolve(import.meta.dirname, '../..');

/** What tests, tools and runs leave in a checkout. */
const left = new Set(['node_modules', 'dist', 'coverage', '.git', '.tap', '.cache', '.posthorn']);

/** What a clone has after `npm ci`, in a folder that is removed after the test. The packages are linked, not copied. */
export function copyOfCheckout(t: Test): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'posthorn-checkout-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(root, folder, {
    recursive: true,
    filter: (source) => !left.has(path.basename(source)) && !path.basename(source).startsWith('tap-testdir-'),
  });
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
  return folder;
}
