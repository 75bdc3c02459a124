import type { Logger } from 'pino';
import type { Clock } from '../../runtime/clock.ts';
import { SchemaRegistry } from './registry.ts';
import { Schemas } from './schemas.ts';

/**
 * The schemas of a process, once its directory was read for the first time.
 * @param options at least one of `directory` and `base`, the URL that a registry's schemas lie below
 */
export async function openSchemas(options: {
  readonly directory: string | null;
  readonly base: string | null;
  readonly clock: Clock;
  readonly logger: Logger;
}): Promise<Schemas> {
  const { base, ...more } = options;
  const registry = base === null ? null : new SchemaRegistry({ base, ...more });
  const schemas = new Schemas({ ...more, registry });
  await schemas.start();
  return schemas;
}
