import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A CPU profile as `node --cpu-prof` writes it, what of it is needed. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: Frame;
    readonly children?: readonly number[];
  }[];
  /** By sample, the node in which it was taken. */
  readonly samples: readonly number[];
  /** By sample, the time since the one before, in microseconds. */
  readonly timeDeltas: readonly number[];
}

export interface Frame {
  readonly functionName: string;
  readonly url: string;
}

/**
 * The share of the busy time that was spent in wanted frames and in what they called, from the first such sample to the
 * last; NaN if there is none.
 */
export function busyShare({ nodes, samples, timeDeltas }: CpuProfile, isWanted: (frame: Frame) => boolean): number {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const within = new Set<number>();
  const idle = new Set<number>();
  for (const { id, callFrame } of nodes) {
    if (callFrame.functionName === '(idle)') idle.add(id);
    const below = isWanted(callFrame) ? [id] : [];
    for (let next = below.pop(); next !== undefined; next = below.pop()) {
      if (within.has(next)) continue;
      within.add(next);
      below.push(...(byId.get(next)?.children ?? []));
    }
  }
  const first = samples.findIndex((id) => within.has(id));
  const last = samples.findLastIndex((id) => within.has(id));
  let [wanted, busy] = [0, 0];
  for (let n = first; n >= 0 && n <= last; n++) {
    const id = samples[n] ?? 0;
    const us = timeDeltas[n] ?? 0;
    if (!idle.has(id)) busy += us;
    if (within.has(id)) wanted += us;
  }
  return wanted / busy;
}

/** Frames on the way from settled offsets to an acknowledged commit. */
export function isOfCommit({ functionName, url }: Frame): boolean {
  return /commit|encodeSettled/i.test(functionName) || /\/offsetCommit\//.test(url);
}

/** Calls with arguments for Node that make it write a profile when it ends, and reads that. */
export async function withProfile(run: (nodeArgs: readonly string[]) => Promise<unknown>): Promise<CpuProfile> {
  const directory = await mkdtemp(path.join(tmpdir(), 'posthorn-bench-'));
  try {
    await run(['--cpu-prof', `--cpu-prof-dir=${directory}`]);
    const [file] = await readdir(directory);
    if (file === undefined) throw new Error('Node has written no profile');
    return JSON.parse(await readFile(path.join(directory, file), 'utf8')) as CpuProfile;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
