import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Ends what a test run started when the run itself could not: killed, crashed, or its terminal closed. */
export interface Guardian {
  /** @param victim `process PID` or `container NAME` */
  watch(victim: string): void;
  forget(victim: string): void;
  /** The guardian's own end, once nothing is left to guard. Removes the folder as well. */
  stop(): Promise<void>;
}

/**
 * Reads lines `+ victim` and `- victim` until its input closes, which the system does however the writer ends. Then
 * it kills who is left and removes the folder.
 */
const script = `
victims=
while read -r sign kind name; do
  case $sign in
    +) victims="$victims $kind:$name" ;;
    -) victims=$(printf '%s' " $victims " | sed "s/ $kind:$name / /") ;;
  esac
done
for victim in $victims; do
  case $victim in
    process:*) kill -9 "\${victim#process:}" ;;
    container:*) docker rm -f "\${victim#container:}" ;;
  esac
done
rm -rf "$1"
`;

let shared: Guardian | undefined;

/** One for whatever this process starts, that does not keep it from ending. */
export function sharedGuardian(): Guardian {
  shared ??= startGuardian(mkdtempSync(path.join(tmpdir(), 'posthorn-guarded-')), { isRef: false });
  return shared;
}

/** @param isRef whether this process stays until it has stopped the guardian */
export function startGuardian(directory: string, { isRef = true } = {}): Guardian {
  const child = spawn('sh', ['-c', script, 'sh', directory], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  const exited = once(child, 'exit');
  child.stdin.on('error', () => {});
  if (!isRef) {
    child.unref();
    (child.stdin as Socket).unref();
  }
  return {
    watch: (victim) => void child.stdin.write(`+ ${victim}\n`),
    forget: (victim) => void child.stdin.write(`- ${victim}\n`),
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
