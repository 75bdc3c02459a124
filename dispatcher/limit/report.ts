import type { Logger } from 'pino';
import type { Trigger } from '../../broker/trigger/trigger.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { LimitChange } from '../limit.ts';

/** One line at each change of what a trigger's limit lets through. */
export function reportTo(
  { broker, logger, clock }: { readonly broker: string; readonly logger: Logger; readonly clock: Clock },
  trigger: Trigger,
): (change: LimitChange) => void {
  const names = { broker, trigger: trigger.name };
  return (change) => {
    switch (change.kind) {
      case 'opened': {
        const nextProbe = new Date(clock.now() + change.probeInMs).toISOString();
        logger.warn(
          { ...names, why: change.why, nextProbe },
          'breaker opened: deliveries wait, no attempts but probes',
        );
        return;
      }
      case 'ramping':
        logger.info(names, 'a probe was answered: deliveries go on, one at a time at first');
        return;
      case 'closed':
        logger.info({ ...names, concurrency: change.concurrency }, 'breaker closed');
        return;
      case 'paused':
        logger.info(names, 'trigger paused by posthorn.dev/paused: its events wait');
        return;
      case 'gone':
        logger.error(
          names,
          'trigger paused: its subscriber answered 410 Gone. Its events wait until the trigger is changed ' +
            '(apply it with the URI of another subscriber) or Posthorn is started again; or delete the trigger',
        );
        return;
      // Whoever found it has said it, with what is missing.
      case 'secret':
      case 'handshake':
        return;
      case 'resumed':
        logger.info(names, 'trigger resumed: its deliveries go on');
    }
  };
}
