import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { PlacedService } from './services.ts';

/**
 * The folder of trigger files to serve: the example's own, so that whoever edits them sees Posthorn follow. Where a
 * service is left out or listens on another port than its trigger says, a copy that says so.
 * @param folder the example's trigger files
 * @param copy where the copy goes
 */
export function triggersFolder(folder: string, copy: string, services: readonly PlacedService[]): string {
  const asWritten = services.every(({ present, port, defaultPort }) => present && port === defaultPort);
  rmSync(copy, { recursive: true, force: true });
  if (asWritten) return folder;
  mkdirSync(copy, { recursive: true });
  for (const { service, present, port, defaultPort } of services) {
    if (service.trigger === undefined || !present) continue;
    const text = readFileSync(path.join(folder, service.trigger), 'utf8');
    const moved = text.replace(`http://127.0.0.1:${defaultPort}/`, `http://127.0.0.1:${port}/`);
    writeFileSync(path.join(copy, service.trigger), moved);
  }
  return copy;
}
