/** What a data filter says of an event whose attributes pass already. */
export type DataVerdict =
  | { readonly kind: 'passes' }
  | {
      readonly kind: 'fails';
      /** Why it is not true: that it is false, or the error that it met on this event, as a missing field. */
      readonly reason: string;
    }
  /** There is no answer that would be the same at any time: the event is dead-lettered for the trigger. */
  | {
      readonly kind: 'undecided';
      /** The bound that was met, or what is wrong with the data. */
      readonly reason: string;
    };
