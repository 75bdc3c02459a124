import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import path from 'node:path';

/** Where tests keep what they fetch or build once. It is not in the repository, and may be removed at any time. */
const keptIn = path.resolve(import.meta.dirname, '../../node_modules/.cache/posthorn');

/**
 * A folder that is kept from one run to the next, made if it is not there. It appears whole or not at all, and callers
 * at the same time, in other processes too, are safe.
 * @param name of the folder; one that names all that its content depends on
 * @param make puts what is to be kept into the folder that it is given
 */
export async function kept(name: string, make: (folder: string) => Promise<void>): Promise<string> {
  const folder = path.join(keptIn, name);
  if (existsSync(folder)) return folder;
  await mkdir(keptIn, { recursive: true });
  const scratch = await mkdtemp(path.join(keptIn, 'making-'));
  try {
    await make(scratch);
    // Whoever comes second finds the folder of the first.
    await rename(scratch, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return folder;
}

/** Runs a command to its end. @throws Error with what it printed, if it fails */
export function runQuietly(
  command: string,
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      ...(cwd !== undefined && { cwd }),
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ${args[0] ?? ''} ended with ${code}: ${output.trim().slice(-2_000)}`));
    });
  });
}
