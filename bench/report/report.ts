/** What a line of the benchmark has found: it is printed as it comes, and kept for the JSON and the chart. */

export interface Column {
  readonly name: string;
  /** Behind the point, where it is printed; 0 if absent. */
  readonly digits?: number;
  /** Whether it names the row, as the first column does anyway. */
  readonly isName?: boolean;
  /** Whether the chart shows it, a bar a row. */
  readonly isCharted?: boolean;
}

export type Cell = string | number;

export interface Table {
  readonly columns: readonly Column[];
  /** Numbers as they were measured. A row begins with its name. */
  readonly rows: readonly (readonly Cell[])[];
}

/** What is aimed at. */
export type Bound = { readonly atMost: number } | { readonly below: number } | { readonly atLeast: number };

/** Where the chart shows a target: in the unit of the column. */
export interface Mark {
  readonly column: string;
  /** The row's name: its naming cells, joined by a comma. */
  readonly row: string;
  readonly at: number;
}

export interface Target {
  readonly what: string;
  readonly value: number;
  readonly bound: 'at most' | 'below' | 'at least';
  readonly limit: number;
  readonly isMet: boolean;
  readonly marks: readonly Mark[];
}

export interface TargetOptions {
  /** Behind the point, where it is printed; 0 if absent. */
  readonly digits?: number;
  readonly marks?: readonly Mark[];
}

export interface ReportOptions {
  /** Takes what is printed, without its newline. */
  readonly print: (text: string) => void;
  /** Whether targets count; false for sizes that show nothing about speed. */
  readonly isJudged: boolean;
}

/** The report of one line. */
export class LineReport {
  readonly name: string;
  readonly #options: ReportOptions;
  readonly #tables: Table[] = [];
  readonly #targets: Target[] = [];
  readonly #faults: string[] = [];

  constructor(name: string, options: ReportOptions) {
    this.name = name;
    this.#options = options;
  }

  /** With their headings and figures; one that is only for the JSON is not printed. */
  get tables(): readonly Table[] {
    return this.#tables;
  }

  get targets(): readonly Target[] {
    return this.#targets;
  }

  /** Why the line has not done its work. */
  get faults(): readonly string[] {
    return this.#tables.length === 0 ? [...this.#faults, 'it has no figures'] : this.#faults;
  }

  get isMet(): boolean {
    return this.#targets.every(({ isMet }) => isMet);
  }

  /** Prints a line of text. */
  say(text = ''): void {
    this.#options.print(text);
  }

  /** The line has not done its work. */
  fault(text: string): void {
    this.#faults.push(text);
    this.say(`FAILED: ${text}`);
  }

  /** Prints rows under their headings as a Markdown table. */
  table(columns: readonly Column[], rows: readonly (readonly Cell[])[]): void {
    this.keep(columns, rows);
    this.say(`| ${columns.map(({ name }) => name).join(' | ')} |`);
    this.say(`|${columns.map(() => '---').join('|')}|`);
    for (const row of rows) {
      this.say(`| ${row.map((cell, n) => format(cell, columns[n]?.digits)).join(' | ')} |`);
    }
  }

  /** Keeps a table that is too long to be printed. */
  keep(columns: readonly Column[], rows: readonly (readonly Cell[])[]): void {
    this.#tables.push({ columns, rows });
    for (const [name, ...cells] of rows) {
      const wrong = columns.slice(1).find((_, n) => typeof cells[n] === 'number' && !Number.isFinite(cells[n]));
      if (wrong) this.fault(`${name || 'a row'} has no figure for "${wrong.name}"`);
    }
  }

  /** Prints what was aimed at and what came of it. */
  target(what: string, value: number, bound: Bound, { digits = 0, marks = [] }: TargetOptions = {}): void {
    const target = { what, value, ...judge(value, bound), marks };
    this.#targets.push(target);
    const judged = target.isMet ? 'met' : 'MISSED';
    const aim = `${target.bound} ${target.limit.toFixed(digits)}`;
    this.say(`${this.#options.isJudged ? judged : 'not judged'}: ${what}: ${format(value, digits)} (${aim})`);
    if (!Number.isFinite(value)) this.fault(`there is no figure for "${what}"`);
  }
}

function judge(value: number, bound: Bound): Pick<Target, 'bound' | 'limit' | 'isMet'> {
  if ('atMost' in bound) return { bound: 'at most', limit: bound.atMost, isMet: value <= bound.atMost };
  if ('below' in bound) return { bound: 'below', limit: bound.below, isMet: value < bound.below };
  return { bound: 'at least', limit: bound.atLeast, isMet: value >= bound.atLeast };
}

export function format(cell: Cell, digits = 0): string {
  return typeof cell === 'number' ? cell.toFixed(digits) : cell;
}
