import { readFileSync } from 'node:fs';

/**
 * CPU seconds that a process has used, user and system, its threads included (Linux: /proc, in hundredths).
 * @throws Error if it has ended
 */
export function cpuSecondsOf(pid: number): number {
  const fields = read(pid, 'stat')
    .replace(/^.*\) /, '')
    .split(' ');
  // utime and stime are the 14th and 15th field; two stand before what is left here.
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Resident memory of a process in MiB. @throws Error if it has ended */
export function residentMiB(pid: number): number {
  return memoryMiB(pid, 'VmRSS');
}

/** The most resident memory that a process has had so far, in MiB. @throws Error if it has ended */
export function peakMiB(pid: number): number {
  return memoryMiB(pid, 'VmHWM');
}

function memoryMiB(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(read(pid, 'status'));
  return Number(line?.[1] ?? Number.NaN) / 1_024;
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch (cause) {
    throw new Error(`process ${pid}, which is measured, has ended`, { cause });
  }
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which this share of the values lies, the nearest one; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** So many seconds of CPU for so many deliveries, told of 100,000. */
export function per100k(cpuSeconds: number, deliveries: number): number {
  return (100_000 * cpuSeconds) / deliveries;
}
