import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
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

let shared: { readonly guardian: Guardian; watched: number } | undefined;

/** As `watch`, by a guardian that is there as long as this process has anything of the kind. @returns forgets it */
export function guard(victim: string): () => void {
  shared ??= { guardian: startGuardian(mkdtempSync(path.join(tmpdir(), 'posthorn-guarded-'))), watched: 0 };
  const its = shared;
  its.guardian.watch(victim);
  its.watched++;
  return () => {
    its.guardian.forget(victim);
    if (--its.watched > 0) return;
    if (shared === its) shared = undefined;
    void its.guardian.stop();
  };
}

export function startGuardian(directory: string): Guardian {
  const child = spawn('sh', ['-c', script, 'sh', directory], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  const exited = once(child, 'exit');
  child.stdin.on('error', () => {});
  return {
    watch: (victim) => void child.stdin.write(`+ ${victim}\n`),
    forget: (victim) => void child.stdin.write(`- ${victim}\n`),
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
}
