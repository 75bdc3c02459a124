import { exactYaml } from './exact-json.ts';
import { table } from './table.ts';

export const outputFormats = ['wide', 'json', 'yaml', 'name'] as const;

export type OutputFormat = 'table' | (typeof outputFormats)[number];

export interface Column<T> {
  readonly title: string;
  readonly of: (item: T) => string;
}

export interface Printing<T> {
  readonly format: OutputFormat;
  readonly columns: readonly Column<T>[];
  /** After the others in the format `wide`. */
  readonly wideColumns: readonly Column<T>[];
  /** For the format `name`: `trigger.eventing.knative.dev/orders`. */
  readonly nameOf: (item: T) => string;
  /** The one item that was asked for by name is shown without a list around it. */
  readonly single?: boolean;
}

/** What `posthorn get` shows of the items, as kubectl would. */
export function printed<T>(items: readonly T[], printing: Printing<T>): string {
  const { format, nameOf, single = false } = printing;
  const whole = single ? items[0] : { apiVersion: 'v1', kind: 'List', items };
  if (format === 'json') return `${JSON.stringify(whole, null, 2)}\n`;
  if (format === 'yaml') return exactYaml(whole);
  if (format === 'name') return items.map((item) => `${nameOf(item)}\n`).join('');
  const columns = format === 'wide' ? [...printing.columns, ...printing.wideColumns] : printing.columns;
  const rows = items.map((item) => columns.map(({ of }) => of(item)));
  return table([columns.map(({ title }) => title), ...rows]);
}
