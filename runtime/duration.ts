const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const weekMs = 7 * dayMs;

/** ISO 8601-1 section 5.5.2.2; a comma may stand for the decimal point, the last part alone may have a fraction. */
const iso =
  /^P(?:(?<years>\d+)Y)?(?:(?<months>\d+)M)?(?:(?<weeks>N)W)?(?:(?<days>N)D)?(?<time>T(?:(?<hours>N)H)?(?:(?<minutes>N)M)?(?:(?<seconds>N)S)?)?$/;
const isoDuration = new RegExp(iso.source.replaceAll('N', String.raw`\d+(?:[.,]\d+)?`));

/**
 * Reads an ISO 8601 duration (`PT10S`, `P1DT12H`, `PT0.5S`, `P2W`) and returns milliseconds, rounded to whole ones,
 * or null where the text is none. Years and months have no fixed length, so those other than 0 are refused too.
 */
export function parseIsoDuration(text: string): number | null {
  const parts = isoDuration.exec(text)?.groups;
  if (parts === undefined || text === 'P' || parts['time'] === 'T') return null;
  if (Number(parts['years'] ?? 0) !== 0 || Number(parts['months'] ?? 0) !== 0) return null;
  if (/[.,]\d+[A-Z].*\d/.test(text)) return null;
  const number = (name: string): number => Number((parts[name] ?? '0').replace(',', '.'));
  return Math.round(
    number('weeks') * weekMs +
      number('days') * dayMs +
      number('hours') * hourMs +
      number('minutes') * minuteMs +
      number('seconds') * secondMs,
  );
}

/** Milliseconds (whole, not negative) as an ISO 8601 duration: 90000 is `PT1M30S`, 0 is `PT0S`. */
export function formatIsoDuration(ms: number): string {
  const days = Math.floor(ms / dayMs);
  const hours = Math.floor((ms % dayMs) / hourMs);
  const minutes = Math.floor((ms % hourMs) / minuteMs);
  const seconds = (ms % minuteMs) / secondMs;
  const time = `${hours ? `${hours}H` : ''}${minutes ? `${minutes}M` : ''}${seconds ? `${seconds}S` : ''}`;
  if (!days && !time) return 'PT0S';
  return `P${days ? `${days}D` : ''}${time ? `T${time}` : ''}`;
}

const shortUnitsMs = { w: weekMs, d: dayMs, h: hourMs, m: minuteMs, s: secondMs, ms: 1 } as const;
const shortDuration = /^(?:\d+w)?(?:\d+d)?(?:\d+h)?(?:\d+m(?!s))?(?:\d+s)?(?:\d+ms)?$/;

/**
 * Reads the short grammar of the command line and of the configuration (`90s`, `1h`, `1h30m`, `250ms`, `7d`, `2w`;
 * larger units first, each once) and returns milliseconds, or null where the text is none. A bare `0` is 0.
 */
export function parseShortDuration(text: string): number | null {
  if (text === '0') return 0;
  if (text === '' || !shortDuration.test(text)) return null;
  let ms = 0;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|[wdhms])/g)) {
    ms += Number(count) * shortUnitsMs[unit as keyof typeof shortUnitsMs];
  }
  return Number.isSafeInteger(ms) ? ms : null;
}

/** Milliseconds (whole, not negative) in the short grammar: 5400000 is `1h30m`, 0 is `0s`. */
export function formatShortDuration(ms: number): string {
  let rest = ms;
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const count = Math.floor(rest / shortUnitsMs[unit]);
    rest -= count * shortUnitsMs[unit];
    if (count > 0) text += `${count}${unit}`;
  }
  return text || '0s';
}
