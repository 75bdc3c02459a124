import { type Column, format, type LineReport, type Target } from './report.ts';
import type { RunReport } from './run-report.ts';

/**
 * One picture of a run, in SVG without anything from elsewhere: a panel a line, in it for each charted column the rows as
 * bars with their values, and a mark where a target lies. It has a background of its own, dark where the reader's is.
 */

const columnsOfPanels = 2;
const panelWidth = 560;
const gap = 20;
const padding = 16;
/** Room for the values behind the bars, for a character of a name, and for names at most. */
const valueWidth = 144;
const characterWidth = 7.2;
const nameWidthMax = 300;
const rowHeight = 20;
const barHeight = 12;
const headHeight = 40;
const columnHeight = 30;
const headerHeight = 96;

const style = `
  .page { fill: #ffffff } .panel { fill: #f6f7f9; stroke: #d9dde3 }
  text { font: 12px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #24292f }
  .title { font-size: 20px; font-weight: 600 } .name { font-size: 15px; font-weight: 600 }
  .dim { fill: #57606a } .value { font-variant-numeric: tabular-nums }
  .track { fill: #e7eaee } .bar { fill: #2f6fdb } .aim { fill: #b3440b }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } .panel { fill: #161b22; stroke: #30363d }
    text { fill: #e6edf3 } .dim { fill: #9da7b3 }
    .track { fill: #262d36 } .bar { fill: #5b95f0 } .aim { fill: #ff9d5c }
  }
`;

/** A column of a table with what the chart needs of it. */
interface Bars {
  readonly column: Column;
  readonly rows: readonly Row[];
}

interface Row {
  readonly name: string;
  readonly value: number;
  /** Where a target lies, and what it asks for. */
  readonly aim: { readonly at: number; readonly sign: string } | undefined;
}

interface Panel {
  readonly name: string;
  readonly bars: readonly Bars[];
  readonly nameWidth: number;
  readonly height: number;
}

export function chartOf(lines: readonly LineReport[], run: RunReport): string {
  const panels = lines.map(panelOf).filter(({ bars }) => bars.length > 0);
  const heights: number[] = Array.from({ length: columnsOfPanels }, () => headerHeight);
  const parts = panels.map((panel) => {
    // The next panel goes where there is most room.
    const place = heights.indexOf(Math.min(...heights));
    const top = heights[place] ?? 0;
    heights[place] = top + panel.height + gap;
    return `<g transform="translate(${gap + place * (panelWidth + gap)} ${top})">${drawPanel(panel)}</g>`;
  });
  const width = gap + columnsOfPanels * (panelWidth + gap);
  const height = Math.max(...heights);
  const { machine, date, command, rounds, isQuick } = run;
  const kafka = machine.kafka === null ? '' : `, Kafka ${machine.kafka}`;
  const where = `${date.slice(0, 10)}, ${machine.cpus} × ${machine.cpu}, Node ${machine.node}${kafka}`;
  const how = `${command} · ${isQuick ? 'tiny sizes: says nothing about speed' : `medians of ${rounds} rounds`}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>Posthorn's benchmark, ${escaped(where)}</title>`,
    `<style>${style}</style>`,
    `<rect class="page" width="${width}" height="${height}"/>`,
    `<text class="title" x="${gap}" y="32">Posthorn's benchmark</text>`,
    `<text class="dim" x="${gap}" y="54">${escaped(where)}</text>`,
    `<text class="dim" x="${gap}" y="74">${escaped(how)} · <tspan class="aim">| what was aimed at</tspan></text>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

const signs: Readonly<Record<Target['bound'], string>> = { 'at most': '≤', below: '<', 'at least': '≥' };

function panelOf({ name, tables, targets }: LineReport): Panel {
  const aims = targets.flatMap(({ bound, marks }) => marks.map((mark) => ({ ...mark, sign: signs[bound] })));
  const bars = tables.flatMap(({ columns, rows }) =>
    columns.flatMap((column, n): Bars[] => {
      if (!column.isCharted) return [];
      const its = rows.flatMap((row): Row[] => {
        const [value, rowName] = [row[n], nameOf(columns, row)];
        const aim = aims.find((one) => one.column === column.name && one.row === rowName && Number.isFinite(one.at));
        return typeof value === 'number' && Number.isFinite(value) ? [{ name: rowName, value, aim }] : [];
      });
      return its.length === 0 ? [] : [{ column, rows: its }];
    }),
  );
  const longest = Math.max(0, ...bars.flatMap(({ rows }) => rows.map((row) => row.name.length)));
  const nameWidth = Math.min(nameWidthMax, Math.ceil(longest * characterWidth) + 8);
  const height = bars.reduce((sum, { rows }) => sum + columnHeight + rows.length * rowHeight, headHeight + padding);
  return { name, bars, nameWidth, height };
}

/** As "Kafka, 2000". */
function nameOf(columns: readonly Column[], row: readonly (string | number)[]): string {
  return row.filter((_, n) => n === 0 || columns[n]?.isName).join(', ');
}

function drawPanel({ name, bars, nameWidth, height }: Panel): string {
  const parts = [
    `<rect class="panel" width="${panelWidth}" height="${height}" rx="8"/>`,
    `<text class="name" x="${padding}" y="28">${escaped(name)}</text>`,
  ];
  let y = headHeight;
  for (const { column, rows } of bars) {
    parts.push(`<text class="dim" x="${padding}" y="${y + 18}">${escaped(column.name)}</text>`);
    y += columnHeight;
    const most = Math.max(...rows.flatMap(({ value, aim }) => [value, aim?.at ?? 0])) || 1;
    for (const row of rows) {
      parts.push(drawRow(row, { digits: column.digits, nameWidth, most, y }));
      y += rowHeight;
    }
  }
  return parts.join('');
}

interface RowPlace {
  readonly digits: number | undefined;
  readonly nameWidth: number;
  /** What the longest bar stands for. */
  readonly most: number;
  readonly y: number;
}

function drawRow({ name, value, aim }: Row, { digits, nameWidth, most, y }: RowPlace): string {
  const [left, base] = [padding + nameWidth, y + barHeight - 2];
  const width = panelWidth - 2 * padding - nameWidth - valueWidth;
  const length = (of: number): string => ((Math.max(0, of) / most) * width).toFixed(2);
  const aimed = aim && `aim ${aim.sign} ${format(aim.at, digits)}`;
  const shown = format(value, digits);
  return [
    `<text x="${left - 8}" y="${base}" text-anchor="end">${escaped(name)}</text>`,
    `<rect class="track" x="${left}" y="${y}" width="${width}" height="${barHeight}" rx="2"/>`,
    `<rect class="bar" x="${left}" y="${y}" width="${length(value)}" height="${barHeight}" rx="2">`,
    `<title>${escaped(`${name}: ${shown}${aimed ? ` (${aimed})` : ''}`)}</title></rect>`,
    aim
      ? `<rect class="aim" x="${left - 1}" y="${y - 3}" width="2.5" height="${barHeight + 6}" transform="translate(${length(aim.at)})"/>`
      : '',
    `<text class="value" x="${left + width + 8}" y="${base}">${escaped(shown)}`,
    aimed ? `<tspan class="aim" dx="6">${escaped(aimed)}</tspan>` : '',
    '</text>',
  ].join('');
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);
}
