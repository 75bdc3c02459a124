import type { Options } from './options.ts';
import type { Runtime } from './runtimes.ts';
import type { Draft } from './send.ts';

/** What makes one example: its services, its triggers (in `triggers/`) and the events that are sent to Posthorn. */
export interface Example {
  /** Absolute; all files of the example are below it. */
  readonly folder: string;
  /** What starts it, before any flags. */
  readonly command: string;
  readonly defaults: Options;
  readonly services: readonly Service[];
  drafts(): Iterable<Draft>;
  /** The file of the webhooks that come in, and the folder of secrets; absent where there are none. */
  readonly webhooks?: string;
  readonly secrets?: string;
  /** What to try next, shown when the events are sent. */
  next(at: Here): string;
}

/** An HTTP server of the example: a handler of events, or something that a handler needs. */
export interface Service {
  /** What its lines are marked with. */
  readonly label: string;
  readonly runtime: Runtime;
  readonly file: string;
  /** The file in `triggers/` that names this service as subscriber; absent where none does. */
  readonly trigger?: string;
  /** What it needs in its environment, besides PORT. */
  env?(urlOf: (label: string) => string): Record<string, string>;
}

/** What a user needs to go on with the example that runs. */
export interface Here {
  /** Where events are posted, with a slash at the end. */
  readonly ingress: string;
  /** The admin port, without a slash at the end. */
  readonly admin: string;
  /** The folder of trigger files that is watched. */
  readonly triggers: string;
  /** What `posthorn` commands need to find this Posthorn: ` --server URL`, or nothing. */
  readonly server: string;
  /** What starts the example here again; more flags may follow. */
  readonly again: string;
}
