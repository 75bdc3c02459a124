import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';

const timeoutMs = 100_000;

t.setTimeout(timeoutMs + 10_000);

t.test('on a full disk appends are refused, deleting works, and appends go on once there is room', async (t) => {
  t.setTimeout(timeoutMs + 5_000);
  const directory = t.testdir();
  const script = fileURLToPath(new URL('./embedded/fill-disk.ts', import.meta.url));
  // A file system in memory that only this process sees, and that ends with it.
  const mount = 'mount -t tmpfs -o size=128m tmpfs "$1" && exec "$2" "$3" "$1"';
  const args = ['--map-root-user', '--mount', 'sh', '-c', mount, 'sh', directory, process.execPath, script];
  const { stdout } = await promisify(execFile)('unshare', args, { timeout: timeoutMs, killSignal: 'SIGKILL' });
  t.strictSame(JSON.parse(stdout), {
    reserveAtFirst: true,
    refusedWith: 'LogFullError',
    refusedAgainWith: 'LogFullError',
    reserveWhenFull: false,
    acceptedWhenFull: false,
    committedWhenFull: 'while full',
    heldWhenFull: true,
    heldAfterTrim: true,
    heldAfterReopen: true,
    refusedBesideOthersWith: 'LogFullError',
    reserveAfterwards: true,
    heldAfterStartOnFullDisk: true,
  });
});
