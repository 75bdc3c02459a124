import type { Cause, KillAccount, TriggerAccount } from './account.ts';
import { seconds } from './play.ts';
import type { SuiteResult } from './suite.ts';

/** What a kill may repeat of a trigger that is alone with its events, at the default of `posthorn.dev/max-in-flight`. */
const repeatedMax = 256;

/** What is wrong with a run, a sentence each; empty if nothing is. Pure. */
export function faultsFound({ account, drainedMs, badEnds, corrupt, errors }: SuiteResult): string[] {
  const found: string[] = [];
  for (const { trigger, missing, unexplained, outOfOrder, isOrdered } of account.triggers) {
    if (missing.length > 0) found.push(`${trigger}: ${missing.length} events are missing: ${some(missing)}`);
    if (unexplained.length > 0) {
      found.push(`${trigger}: ${unexplained.length} events arrived more often than is explained: ${some(unexplained)}`);
    }
    if (isOrdered && outOfOrder.length > 0) {
      found.push(`${trigger}: ${outOfOrder.length} events came out of order: ${some(outOfOrder)}`);
    }
  }
  for (const { slot, repeatedAlone } of account.kills) {
    for (const [trigger, repeated] of repeatedAlone) {
      if (repeated <= repeatedMax) continue;
      found.push(`${trigger}: the kill of Posthorn ${slot} repeated ${repeated} deliveries, more than ${repeatedMax}`);
    }
  }
  if (drainedMs === null) found.push('deliveries stalled after the last fault');
  for (const { slot, how, exitCode } of badEnds) {
    found.push(`Posthorn ${slot} ${how === 'crash' ? 'ended by itself' : 'did not end well'}, with code ${exitCode}`);
  }
  for (const one of corrupt.slice(0, 5)) found.push(`corrupt: ${one}`);
  for (const [message, count] of errors) {
    if (/bug in Posthorn|^LOST/.test(message)) found.push(`logged ${count} times: ${message}`);
  }
  return found;
}

/** The tables of a run, as text. Pure. */
export function report({ account, startedMs, drainedMs, failedStarts, errors }: SuiteResult): string {
  const at = (timeMs: number): string => seconds(timeMs - startedMs).trim();
  const triggers = account.triggers.map((one) => [
    one.trigger,
    String(account.sent),
    String(one.delivered),
    String(one.deadLettered),
    String(one.missing.length),
    String(one.duplicates),
    String(one.unexplained.length),
    orderOf(one),
    one.longestSilence.ms === 0 ? '-' : `${seconds(one.longestSilence.ms).trim()} at ${at(one.longestSilence.fromMs)}`,
  ]);
  const headers = [
    ...['trigger', 'sent', 'delivered', 'dead-lettered', 'missing', 'duplicates', 'unexplained'],
    ...['out of order', 'longest silence'],
  ];
  const lines = [table(headers, triggers), '', 'Why events arrived more than once:', causesTable(account.triggers)];
  if (account.kills.length > 0) lines.push('', 'At each SIGKILL of a Posthorn:', killsTable(account.kills, at));
  lines.push(
    '',
    drainedMs === null
      ? 'It did not come to an end.'
      : `All had arrived ${seconds(drainedMs).trim()} after the last fault.`,
  );
  for (const [message, count] of countsOf(failedStarts)) lines.push(`Starts that failed: ${count} times "${message}"`);
  for (const [message, count] of errors) lines.push(`Error lines: ${count} times "${message}"`);
  return lines.join('\n');
}

function orderOf({ isOrdered, outOfOrder }: TriggerAccount): string {
  return isOrdered ? String(outOfOrder.length) : `${outOfOrder.length} (not promised)`;
}

const causeTexts: Readonly<Record<Cause, string>> = {
  kill: 'a kill',
  leave: 'a shutdown that was cut short',
  'given-up': 'a partition given up and taken again',
  rebalance: 'a partition that went to another process',
  'sent-twice': 'sent again by the sender, whose answer was lost',
  'retry-twice': "appended again, as Kafka's answer was lost",
  'answer-missed': "the subscriber's answer came too late",
};

function causesTable(triggers: readonly TriggerAccount[]): string {
  const causes = (Object.keys(causeTexts) as Cause[]).filter((cause) => triggers.some((one) => one.causes.has(cause)));
  const rows = causes.map((cause) => [
    causeTexts[cause],
    ...triggers.map(({ causes }) => String(causes.get(cause) ?? 0)),
  ]);
  return rows.length === 0 ? 'none did' : table(['cause', ...triggers.map(({ trigger }) => trigger)], rows);
}

function killsTable(kills: readonly KillAccount[], at: (timeMs: number) => string): string {
  return table(
    ['at', 'Posthorn', 'in flight', 'settled, not committed', 'repeated'],
    kills.map(({ slot, atMs, inFlight, settledUncommitted, repeated }) => [
      at(atMs),
      ...[slot, inFlight, settledUncommitted, repeated].map(String),
    ]),
  );
}

/** As Markdown, which is also easy to read as it is. */
function table(headers: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headers.map((header, column) =>
    Math.max(header.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(headers), rule, ...rows.map(line)].join('\n');
}

function countsOf(messages: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const message of messages) counts.set(message, (counts.get(message) ?? 0) + 1);
  return counts;
}

function some(events: readonly number[]): string {
  return events.slice(0, 10).join(', ') + (events.length > 10 ? ', …' : '');
}
