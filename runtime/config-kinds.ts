import { parseIsoDuration, parseShortDuration } from './duration.ts';
import { type LogFormat, type LogLevel, logFormats, logLevels } from './logger.ts';

/** What a setting may be: how it is shown in the help, what would be right, and how its text is read. */
export interface Kind<T> {
  /** Stands for the value in the help; absent: a switch. */
  readonly placeholder?: string;
  /** Ends the sentence "… must be". */
  readonly expected: string;
  /** Reads the text, whose outer spaces are gone; undefined if it is not of the kind. */
  parse(text: string): T | undefined;
}

export const toggle: Kind<boolean> = {
  expected: 'true or false',
  parse: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
};

export const path: Kind<string> = {
  placeholder: 'PATH',
  expected: 'the path of a file or directory',
  parse: (text) => (text === '' || text.includes('\0') ? undefined : text),
};

export const word: Kind<string> = {
  placeholder: 'NAME',
  expected: 'a name without spaces',
  parse: (text) => (/^\S+$/.test(text) ? text : undefined),
};

/** A host to listen on: a name or an IP address, IPv6 without brackets. */
export const host: Kind<string> = {
  placeholder: 'HOST',
  expected: 'a host name or an IP address, as 127.0.0.1, 0.0.0.0 or ::1',
  parse: (text) => (/^[A-Za-z0-9._:-]+$/.test(text) ? text : undefined),
};

export const port: Kind<number> = {
  placeholder: 'PORT',
  expected: 'a port, 0 to 65535 (0: any that is free)',
  parse: (text) => integerIn(text, 0, 65_535),
};

/** `HOST:PORT,HOST:PORT`; an IPv6 address stands in brackets. */
export const hostPorts: Kind<readonly string[]> = {
  placeholder: 'HOST:PORT,…',
  expected: 'addresses with ports, as kafka-1:9092,kafka-2:9092',
  parse(text) {
    const addresses = text.split(',').map((address) => address.trim());
    return addresses.every(isHostPort) ? addresses : undefined;
  },
};

function isHostPort(address: string): boolean {
  const [, portText = ''] = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d+)$/.exec(address) ?? [];
  return integerIn(portText, 1, 65_535) !== undefined;
}

/** A DNS name, as a sender is named by. */
export const dnsName: Kind<string> = {
  placeholder: 'NAME',
  expected: 'a DNS name, as events.example.com',
  parse: (text) => (text.length <= 253 && /^[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*$/.test(text) ? text : undefined),
};

/** An http or https URL to which paths are added; without a slash at its end. */
export const baseUrl: Kind<string> = {
  placeholder: 'URL',
  expected: 'an http or https URL without query, as https://events.example.com',
  parse(text) {
    const url = URL.canParse(text) ? new URL(text) : null;
    const isRight = url !== null && /^https?:$/.test(url.protocol) && url.search + url.hash + url.username === '';
    return isRight ? url.href.replace(/\/$/, '') : undefined;
  },
};

/** What topic names begin with: dot-separated, so that a data centre may stand first (`eqiad.posthorn`). */
export const topicPrefix: Kind<string> = {
  placeholder: 'NAME',
  expected: 'letters, digits, - and single dots between them, at most 63 characters, as posthorn or eqiad.posthorn',
  parse: (text) => (text.length <= 63 && /^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(text) ? text : undefined),
};

export function integer(min: number, max: number): Kind<number> {
  return {
    placeholder: 'N',
    expected: `a whole number, ${min} to ${max}`,
    parse: (text) => integerIn(text, min, max),
  };
}

export function oneOf<const T extends string>(values: readonly T[]): Kind<T> {
  return {
    placeholder: values.join('|'),
    expected: listed(values, 'or'),
    parse: (text) => values.find((value) => value === text),
  };
}

/** Several of the values, separated by commas. */
export function someOf<const T extends string>(values: readonly T[]): Kind<ReadonlySet<T>> {
  return {
    placeholder: `${values.join(',')}`,
    expected: `one or more of ${listed(values, 'and')}, separated by commas`,
    parse(text) {
      const chosen = text.split(',').map((part) => values.find((value) => value === part.trim()));
      const known = chosen.filter((value) => value !== undefined);
      return known.length === chosen.length ? new Set(known) : undefined;
    },
  };
}

export const logLevel: Kind<LogLevel> = oneOf(logLevels);
export const logFormat: Kind<LogFormat> = oneOf(logFormats);

/** Milliseconds, from a length of time: `30s`, `1h30m`, `7d`, `PT30S`. */
export function duration(minMs: number, maxMs: number, range: string): Kind<number> {
  return {
    placeholder: 'TIME',
    expected: `a length of time ${range}, as 30s, 15m, 7d or PT30S`,
    parse: (text) => durationIn(text, minMs, maxMs),
  };
}

/** Milliseconds, or null for ever. */
export function retention(minMs: number, maxMs: number, range: string): Kind<number | null> {
  return {
    placeholder: 'TIME',
    expected: `a length of time ${range}, as 12h, 7d or P30D, or forever`,
    parse: (text) => (text === 'forever' ? null : durationIn(text, minMs, maxMs)),
  };
}

function durationIn(text: string, minMs: number, maxMs: number): number | undefined {
  const ms = parseShortDuration(text) ?? parseIsoDuration(text);
  return ms !== null && ms >= minMs && ms <= maxMs ? ms : undefined;
}

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KIB: 1_024,
  MIB: 1_048_576,
  GIB: 1_073_741_824,
};

/** A size: `65536`, `64KiB`, `1MiB`, `1.5GB`. */
export function bytes(min: number, max: number): Kind<number> {
  return {
    placeholder: 'SIZE',
    expected: `a size from ${formatBytes(min)} to ${formatBytes(max)}, as 65536, 64KiB or 1MiB`,
    parse(text) {
      const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?) ?([KMG]i?B|B)?$/i.exec(text) ?? [];
      const size = Number(amount) * (byteUnits[unit.toUpperCase()] ?? Number.NaN);
      return amount !== '' && Number.isInteger(size) && size >= min && size <= max ? size : undefined;
    },
  };
}

export function formatBytes(size: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB'] as const) {
    const one = byteUnits[unit.toUpperCase()] ?? 1;
    if (size >= one && size % one === 0) return `${size / one}${unit}`;
  }
  return `${size}B`;
}

function integerIn(text: string, min: number, max: number): number | undefined {
  if (!/^-?\d{1,15}$/.test(text)) return undefined;
  const number = Number(text);
  return number >= min && number <= max ? number : undefined;
}

function listed(values: readonly string[], joint: 'and' | 'or'): string {
  if (values.length < 2) return values.join('');
  return `${values.slice(0, -1).join(', ')} ${joint} ${values.at(-1)}`;
}
