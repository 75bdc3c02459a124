import type { Account, Evidence } from './account.ts';

/** What is known of each event that is missing, repeated without a reason, or out of order, a line each. Pure. */
export function evidenceLines(evidence: Evidence, { triggers }: Account): string[] {
  return triggers.flatMap(({ trigger, missing, unexplained, outOfOrder, overtaken, isOrdered }) => [
    ...missing.map((event) => `missing at ${trigger}: ${eventLine(evidence, event)}`),
    ...unexplained.map((event) => `unexplained at ${trigger}: ${eventLine(evidence, event)}`),
    ...(isOrdered ? outOfOrder.map((event) => `out of order at ${trigger}: ${eventLine(evidence, event)}`) : []),
    ...(isOrdered ? overtaken.map((event) => `overtaken at ${trigger}: ${eventLine(evidence, event)}`) : []),
  ]);
}

function eventLine({ ledger, appended, exposures, deadLettered }: Evidence, event: number): string {
  const sent = ledger.sent.get(event);
  const places = appended.flatMap((events, partition) =>
    events.flatMap((one, index) => (one === event ? [`partition ${partition} record ${index}`] : [])),
  );
  const arrivals = [...ledger.arrivals].map(([trigger, its]) => `${trigger} ${its.get(event)?.join(' ') ?? 'never'}`);
  const requests = [...ledger.requests].map(([trigger, its]) => {
    const all = [...(its.get(event) ?? [])].map(
      ({ attempt, slot, number, atMs }) => `${atMs} (${attempt} of ${slot}.${number})`,
    );
    return `${trigger} ${all.join(' ')}`;
  });
  const exposed = exposures
    .filter(({ events }) => events.has(event))
    .map(
      ({ atMs, cause, from, triggers }) => `${atMs} ${cause} of ${from.slot}.${from.number} for ${triggers.join('+')}`,
    );
  const letters = [...deadLettered].filter(([, events]) => events.has(event)).map(([trigger]) => trigger);
  return [
    `event ${event}, key ${sent?.key}, sent ${sent?.sentAtMs}, accepted ${sent?.acceptedAtMs}`,
    `in the log: ${places.join(', ')}`,
    `arrived: ${arrivals.join(', ')}`,
    `requests (attempt of which Posthorn): ${requests.join(', ')}`,
    `exposed: ${exposed.join(', ')}`,
    `dead letters: ${letters.join(', ')}`,
  ].join('; ');
}
