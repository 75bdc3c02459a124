import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { PlacedService } from './services.ts';

/**
 * The folder of trigger files to serve: the example's own, so that whoever edits them sees Posthorn follow. Where a
 * service does not listen, or on another port than its trigger says, a copy without it, or with its port.
 * @param folder the example's trigger files
 * @param copy where the copy goes
 * @param listening those of the services that listen
 */
export function triggersFolder(
  folder: string,
  copy: string,
  services: readonly PlacedService[],
  listening: readonly PlacedService[],
): string {
  rmSync(copy, { recursive: true, force: true });
  const asWritten = listening.every(({ port, defaultPort }) => port === defaultPort);
  if (asWritten && listening.length === services.length) return folder;
  mkdirSync(copy, { recursive: true });
  for (const placed of listening) addTrigger(folder, copy, placed);
  return copy;
}

/** Copies the trigger of a service, if it has one, with the port on which the service listens. */
export function addTrigger(folder: string, copy: string, { service, port, defaultPort }: PlacedService): void {
  if (service.trigger === undefined) return;
  const text = readFileSync(path.join(folder, service.trigger), 'utf8');
  const moved = text.replace(`http://127.0.0.1:${defaultPort}/`, `http://127.0.0.1:${port}/`);
  writeFileSync(path.join(copy, service.trigger), moved);
}
