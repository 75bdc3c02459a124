import { PosthornError } from '../runtime/errors.ts';

/** A message is not a valid CloudEvent, or not one that Posthorn reads. The message names what was seen and what is right. */
export class EventError extends PosthornError {
  /** The attribute that is wrong; null where it is not one attribute. */
  readonly attribute: string | null;
  /** The member of the batch, counted from 0; null outside of a batch. */
  readonly index: number | null;
  /** What HTTP answers: 400, or 415 where the format is not one that Posthorn reads. */
  readonly status: 400 | 415;

  constructor(message: string, details: EventErrorDetails = {}) {
    const { attribute = null, index = null, status = 400 } = details;
    super(status === 415 ? 'EVENT_FORMAT' : 'EVENT_INVALID', message);
    this.attribute = attribute;
    this.index = index;
    this.status = status;
  }

  /** The same error, said of a member of a batch. */
  inBatch(index: number): EventError {
    return new EventError(`batch member ${index}: ${this.message}`, {
      attribute: this.attribute,
      index,
      status: this.status,
    });
  }
}

export interface EventErrorDetails {
  readonly attribute?: string | null;
  readonly index?: number | null;
  readonly status?: 400 | 415;
}

/** Characters of a wrong value that a message repeats: enough to know it by. */
const shownCharactersMax = 60;

/** A value as error messages show it: quoted, escaped, cut. */
export function shown(value: string, charactersMax: number = shownCharactersMax): string {
  const cut = value.length > charactersMax ? `${value.slice(0, charactersMax)}…` : value;
  return JSON.stringify(cut).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
