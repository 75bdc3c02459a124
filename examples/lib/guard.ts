import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/**
 * Reads process groups until its input ends. Those that were started last are killed first, so that Posthorn doesn't
 * see its handlers die.
 */
const script = `
groups=
while read -r group; do groups="-$group $groups"; done
[ -z "$groups" ] || kill -s KILL -- $groups
rm -rf -- "$1"
`;

/**
 * Kills process groups and removes a folder when the process that made it has gone without doing so itself: the system
 * closes the pipe between them even after a SIGKILL. A group of its own keeps the guard from what a terminal sends.
 */
export class Guard {
  readonly #shell: ChildProcess;

  /** @param folder absolute */
  constructor(folder: string) {
    this.#shell = spawn('sh', ['-c', script, 'guard', folder], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    // Without its guard, which somebody killed, the example goes on.
    for (const source of [this.#shell, this.#shell.stdin]) source?.on('error', () => {});
  }

  /** @param group the id of the group's leader */
  watch(group: number): void {
    this.#shell.stdin?.write(`${group}\n`);
  }

  /** Ends it; the groups are left alone from here on. */
  async release(): Promise<void> {
    this.kill();
    if (this.#shell.exitCode === null && this.#shell.signalCode === null) await once(this.#shell, 'exit');
  }

  /** The same at once, for a process that ends now. */
  kill(): void {
    this.#shell.kill('SIGKILL');
  }
}
