import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Posthorn's version, from the package's own package.json (beside `runtime/` in a checkout, above `dist/` in a package). */
export const version = readVersion(['..', join('..', '..')]);

function readVersion(candidates: readonly string[]): string {
  for (const candidate of candidates) {
    try {
      const manifest: unknown = JSON.parse(readFileSync(join(import.meta.dirname, candidate, 'package.json'), 'utf8'));
      if (isPosthorn(manifest)) return manifest.version;
    } catch {
      // Not here: the next candidate.
    }
  }
  return 'unknown';
}

function isPosthorn(manifest: unknown): manifest is { readonly version: string } {
  return (
    typeof manifest === 'object' &&
    manifest !== null &&
    'name' in manifest &&
    manifest.name === 'posthorn' &&
    'version' in manifest &&
    typeof manifest.version === 'string'
  );
}
