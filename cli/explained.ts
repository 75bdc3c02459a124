import type { Explanation, Reason } from '../broker/filter/explain.ts';

/** Reasons as indented lines, those within others below them; each with its place in the manifest. */
export function reasonLines(reasons: readonly Reason[], indent: string): string {
  return reasons
    .map(
      ({ field, message, because }) =>
        `${indent}${printable(message)}  (${placeOf(field)})\n${reasonLines(because, `${indent}  `)}`,
    )
    .join('');
}

/** `spec` is where nearly all is, and an annotation is known by its name. */
function placeOf(field: string): string {
  return field.replace(/^spec\./, '').replace(/^metadata\.annotations\["(.*)"\]$/, '$1');
}

/** `2 of 3 conditions met`. */
export function metText({ conditions, met }: Explanation): string {
  if (conditions === 0) return 'it has no filter';
  if (conditions === 1) return met === 1 ? 'its condition is met' : 'its condition is not met';
  return `${met} of ${conditions} conditions met`;
}

/** Text on one line, without what a terminal would obey. (Attributes of an event have no such characters.) */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\ufffd');
}
