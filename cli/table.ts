/**
 * Rows of cells as aligned columns, the first row being the titles; an empty cell shows as `<none>`, a control character
 * as �: cells hold what strangers sent, and a terminal would obey it.
 */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  const shown = rows.map((row) => row.map((cell) => (cell === '' ? '<none>' : cell.replace(/\p{Cc}/gu, '\ufffd'))));
  for (const row of shown) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  const line = (row: readonly string[]): string => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('   ');
  return shown.map((row) => `${line(row).trimEnd()}\n`).join('');
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** A duration as kubectl shows ages: two units while that tells something (`3m20s`, `5h10m`), then one (`40h`, `12d`). */
export function age(durationMs: number): string {
  const ms = Math.max(0, durationMs);
  if (ms < 2 * minute) return `${Math.floor(ms / second)}s`;
  if (ms < 10 * minute) return pair(ms, minute, 'm', second, 's');
  if (ms < 3 * hour) return `${Math.floor(ms / minute)}m`;
  if (ms < 8 * hour) return pair(ms, hour, 'h', minute, 'm');
  if (ms < 2 * day) return `${Math.floor(ms / hour)}h`;
  if (ms < 8 * day) return pair(ms, day, 'd', hour, 'h');
  return `${Math.floor(ms / day)}d`;
}

function pair(ms: number, big: number, bigName: string, small: number, smallName: string): string {
  const rest = Math.floor((ms % big) / small);
  return `${Math.floor(ms / big)}${bigName}${rest === 0 ? '' : `${rest}${smallName}`}`;
}
