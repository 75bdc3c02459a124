import { cpus, release, totalmem } from 'node:os';
import type { LineReport, Target } from './report.ts';

/** A whole run, as `--json` writes it. */
export interface RunReport {
  readonly machine: {
    readonly cpu: string;
    readonly cpus: number;
    readonly memoryMiB: number;
    readonly kernel: string;
    readonly node: string;
    /** null: of a Kafka that was given, or none was needed. */
    readonly kafka: string | null;
  };
  /** When it began, RFC 3339. */
  readonly date: string;
  readonly command: string;
  readonly rounds: number;
  /** Whether the sizes were so small that the figures say nothing about speed. */
  readonly isQuick: boolean;
  readonly lines: readonly {
    readonly name: string;
    readonly tables: readonly {
      readonly headings: readonly string[];
      readonly rows: readonly (readonly unknown[])[];
    }[];
    readonly targets: readonly (Omit<Target, 'marks' | 'isMet'> & { readonly met: boolean })[];
    /** Why the line has not done its work; none if it has. */
    readonly faults: readonly string[];
  }[];
}

export interface RunOptions {
  readonly began: Date;
  readonly command: string;
  readonly rounds: number;
  readonly isQuick: boolean;
  readonly kafka: string | null;
}

export function runReport(lines: readonly LineReport[], { began, kafka, ...options }: RunOptions): RunReport {
  const machine = {
    ...{ cpu: cpus()[0]?.model.trim() ?? 'unknown', cpus: cpus().length },
    ...{ memoryMiB: Math.round(totalmem() / 1_048_576), kernel: release(), node: process.version, kafka },
  };
  return {
    ...{ machine, date: began.toISOString(), ...options },
    lines: lines.map(({ name, tables, targets, faults }) => ({
      name,
      tables: tables.map(({ columns, rows }) => ({ headings: columns.map((column) => column.name), rows })),
      targets: targets.map(({ what, value, bound, limit, isMet }) => ({ what, value, bound, limit, met: isMet })),
      faults,
    })),
  };
}
