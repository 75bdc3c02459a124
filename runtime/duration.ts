const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const weekMs = 7 * dayMs;

const number = String.raw`\d+(?:[.,]\d+)?`;
const isoDuration = new RegExp(
  `^P(?:(?<years>${number})Y)?(?:(?<months>${number})M)?(?:(?<weeks>${number})W)?(?:(?<days>${number})D)?` +
    `(?:T(?=\\d)(?:(?<hours>${number})H)?(?:(?<minutes>${number})M)?(?:(?<seconds>${number})S)?)?$`,
);
/** Only the last part may have a fraction. */
const earlyFraction = /[.,]\d+[A-Z].*\d/;

/**
 * Reads an ISO 8601 duration (`PT10S`, `P1DT12H`, `PT0.5S`, `P2W`; ISO 8601-1:2019, section 5.5.2; a comma may stand
 * for the point) and returns milliseconds, rounded to whole ones, or null where the text is none. Years and months
 * have no fixed length, so those other than 0 are refused too.
 */
export function parseIsoDuration(text: string): number | null {
  const parts = isoDuration.exec(text)?.groups;
  if (parts === undefined || text === 'P' || earlyFraction.test(text)) return null;
  const count = (part: string): number => Number((parts[part] ?? '0').replace(',', '.'));
  if (count('years') !== 0 || count('months') !== 0) return null;
  const ms =
    count('weeks') * weekMs +
    count('days') * dayMs +
    count('hours') * hourMs +
    count('minutes') * minuteMs +
    count('seconds') * secondMs;
  return Number.isSafeInteger(Math.round(ms)) ? Math.round(ms) : null;
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
