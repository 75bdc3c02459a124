const dateTime =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** Whether it is a date and time of RFC 3339 (section 5.6) that the calendar has, leap seconds included. */
export function isTimestamp(text: string): boolean {
  if (!dateTime.test(text)) return false;
  const day = Number(text.slice(8, 10));
  if (day > 28 && day > daysInMonth(Number(text.slice(0, 4)), Number(text.slice(5, 7)))) return false;
  return text.slice(17, 19) !== '60' || minuteOfDayUtc(text) === 24 * 60 - 1;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** A leap second is the last second of a day in UTC, whatever the offset. */
function minuteOfDayUtc(text: string): number {
  const minute = Number(text.slice(11, 13)) * 60 + Number(text.slice(14, 16));
  if (/[Zz]$/.test(text)) return minute;
  const offset = Number(text.slice(-5, -3)) * 60 + Number(text.slice(-2));
  return (minute + (text.at(-6) === '+' ? -offset : offset) + 24 * 60) % (24 * 60);
}
