import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { parse } from 'yaml';

/**
 * Whether tap was built with the plugins that .taprc names; a fresh install has the default ones. To build it again
 * would take the files away from a run that goes on at the same time.
 *
 * @param env with tap's folder on the PATH
 */
export async function isTapBuilt(cwd: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const tap = async (...args: string[]) => (await promisify(execFile)('tap', args, { cwd, env })).stdout;
  try {
    const [wanted, versions] = await Promise.all([tap('plugin', 'list'), tap('versions')]);
    return hasPlugins(versions, wanted);
  } catch {
    return false; // a build that was interrupted
  }
}

/**
 * @param versions what `tap versions` prints: YAML with the versions of the plugins by their names
 * @param wanted what `tap plugin list` prints: their names, one a line
 */
export function hasPlugins(versions: string, wanted: string): boolean {
  const { plugins = {} } = parse(versions) as { plugins?: Readonly<Record<string, string>> };
  return Object.keys(plugins).sort().join() === wanted.trim().split('\n').sort().join();
}
