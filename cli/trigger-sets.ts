import { duplicatesIn, type ParsedDocument, type Problem, triggerFromManifest } from '../broker/trigger/manifest.ts';
import { hasErrors, type ManifestFile, readManifestFile } from '../broker/trigger/manifest-files.ts';
import type { Trigger } from '../broker/trigger/trigger.ts';
import type { Resource } from '../console/resources.ts';
import { messageOf } from '../runtime/errors.ts';

/** A trigger as it filters events, without where it has got to in the log. */
export type FilteringTrigger = Omit<Trigger, 'laneSpans'>;

export interface TriggerSet {
  readonly triggers: readonly FilteringTrigger[];
  readonly problems: readonly Problem[];
}

/**
 * The triggers of manifest files, offline; of a file with an error none.
 * @param namespace of manifests that name none
 */
export async function triggersOfFiles(files: readonly string[], namespace: string): Promise<TriggerSet> {
  const read: ManifestFile[] = [];
  for (const file of files) read.push(await readManifestFile(file, { namespace }));
  const documents = read.filter((file) => !hasErrors(file)).flatMap((file) => file.documents);
  const duplicates = duplicatesIn(documents);
  const problems = [...read.flatMap((file) => file.problems), ...duplicates.map(({ problem }) => problem)];
  const repeated = new Set(duplicates.map(({ document }) => document));
  const kept = documents.filter((document) => document.kind === 'Trigger' && !repeated.has(document));
  return { triggers: kept.map(triggerOf), problems };
}

function triggerOf({ manifest, namespace }: ParsedDocument): FilteringTrigger {
  return triggerFromManifest(manifest, { uid: '', generation: 0, owner: '', namespace }, null);
}

/**
 * The triggers of a running Posthorn.
 * @param unreadable is told of each that this version of the command can't read
 */
export function triggersOfResources(
  resources: readonly Resource[],
  unreadable: (name: string, why: string) => void,
): FilteringTrigger[] {
  return resources.flatMap(({ status, ...manifest }) => {
    const { name, namespace = 'default' } = manifest.metadata;
    const identity = { uid: '', generation: status.observedGeneration, owner: status.owner ?? '', namespace };
    try {
      return [triggerFromManifest(manifest, identity, null)];
    } catch (error) {
      unreadable(`${namespace}/${name}`, messageOf(error));
      return [];
    }
  });
}
