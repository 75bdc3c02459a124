/** A request or record written from the text of a specification, and what is to become of it. */
export interface Case {
  /** The specification with its section; `CE` is CloudEvents 1.0.2 itself, by the heading. */
  readonly section: string;
  readonly name: string;
  readonly expected: Expected;
}

export type Expected = Read | Refused;

/** The events, each by what it has besides the required attributes, or instead of them. */
export interface Read {
  readonly events: readonly ExpectedEvent[];
}

export interface ExpectedEvent {
  readonly attributes: Readonly<Record<string, string>>;
  /** Null: no data. */
  readonly data: Buffer | null;
}

export interface Refused {
  readonly status: number;
  /** What is named as wrong; null where it is no attribute. */
  readonly attribute: string | null;
}

/** What every event of the cases has, unless its case says otherwise: the example of the HTTP binding. */
export const required = {
  specversion: '1.0',
  type: 'com.example.someevent',
  source: '/mycontext',
  id: 'A234-1234-1234',
} as const;

/** One event is read: with these attributes beside those required, and this data. */
export function is(attributes: Readonly<Record<string, string>> = {}, data: Buffer | string | null = null): Read {
  return { events: [eventOf(attributes, data)] };
}

export function eventOf(attributes: Readonly<Record<string, string>>, data: Buffer | string | null): ExpectedEvent {
  return {
    attributes: { ...required, ...attributes },
    data: typeof data === 'string' ? Buffer.from(data) : data,
  };
}

/** It is refused with 400, naming the attribute. */
export function wrong(attribute: string | null): Refused {
  return { status: 400, attribute };
}

/** It is refused with 415: not an event, or in a form that is not read. */
export const unsupported: Refused = { status: 415, attribute: null };
