import { PosthornError } from '../../runtime/errors.ts';
import type { Broker, Manifest, Trigger } from './trigger.ts';

/** Something to be said of a manifest. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  /** The file as it was named by the caller. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** The path of the field (`spec.delivery.backoffDelay`), '' where the whole document or file is meant. */
  readonly field: string;
  /** What was seen, and what would be right. */
  readonly message: string;
}

/** A Trigger or Broker that has no errors. */
export interface ParsedDocument {
  readonly kind: 'Trigger' | 'Broker';
  readonly namespace: string;
  readonly name: string;
  /** As the user wrote it, with `metadata.namespace` filled in, and without what only a Kubernetes API server sets. */
  readonly manifest: Manifest;
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface ParseOptions {
  /** Where a manifest names no namespace; `default` if absent. */
  readonly namespace?: string;
  /** What the names of topics begin with, for the check of their length; `posthorn` if absent. */
  readonly prefix?: string;
}

/** Pure; never throws. Of a document with an error only the problems are given. */
export function parseManifests(
  _text: string,
  _file: string,
  _options: ParseOptions = {},
): { documents: ParsedDocument[]; problems: Problem[] } {
  return { documents: [], problems: [] };
}

/** A manifest that this version of Posthorn can't read. */
export class ManifestError extends PosthornError {
  constructor(message: string) {
    super('MANIFEST', message);
  }
}

/** What of a Trigger is not in its manifest. */
export interface TriggerIdentity {
  readonly uid: string;
  readonly generation: number;
  readonly owner: string;
  /** Where the manifest names no namespace. */
  readonly namespace: string;
}

/**
 * The Trigger that a stored manifest stands for. To be called again with the new Broker when that changes.
 * @param broker whose `delivery` a trigger without one takes; null: the default
 * @throws ManifestError
 */
export function triggerFromManifest(_manifest: Manifest, _identity: TriggerIdentity, _broker: Broker | null): Trigger {
  throw new ManifestError('not yet');
}

/** @throws ManifestError */
export function brokerFromManifest(_manifest: Manifest, _namespace: string): Broker {
  throw new ManifestError('not yet');
}
