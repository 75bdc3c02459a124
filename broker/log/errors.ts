import { PosthornError } from '../../runtime/errors.ts';

/** No topic of this name. */
export class UnknownTopicError extends PosthornError {
  constructor(topic: string) {
    super('LOG_UNKNOWN_TOPIC', `the log has no topic ${topic}`);
  }
}

/** The record, or the records of one append together, exceed what the topic takes. Nothing was appended. */
export class RecordTooLargeError extends PosthornError {
  constructor(topic: string, bytes: number, maxBytes: number) {
    super('LOG_RECORD_TOO_LARGE', `${bytes} bytes are more than topic ${topic} takes in one append (${maxBytes})`);
  }
}

/** The log has no room on its disk; it works again once there is some. Nothing was appended. */
export class LogFullError extends PosthornError {
  constructor(where: string, options?: ErrorOptions) {
    super('LOG_FULL', `no room left on the disk of ${where}`, options);
  }
}

/** The log can't be reached or did not answer in time; whether an append is in, is not known. */
export class LogUnavailableError extends PosthornError {
  readonly isOutage: boolean;

  /** @param options `isOutage`: trying again may help, and the log's own lines tell how long it lasts */
  constructor(what: string, { isOutage = false, ...options }: ErrorOptions & { readonly isOutage?: boolean } = {}) {
    super('LOG_UNAVAILABLE', what, options);
    this.isOutage = isOutage;
  }
}

/** Whether the log's own lines tell of it: whoever else it befalls has only to say so at the level debug. */
export function isOutage(error: unknown): boolean {
  return error instanceof LogUnavailableError && error.isOutage;
}

/** Another process holds the embedded log. */
export class LogLockedError extends PosthornError {
  constructor(directory: string, holder: string) {
    super(
      'LOG_LOCKED',
      `${directory} is in use by another Posthorn (${holder}); stop that one, or give this one its own directory with --data`,
    );
  }
}

/** The consumer's partitions have changed hands since this epoch; its commit was not made. */
export class StaleEpochError extends PosthornError {
  constructor(epoch: number, current: number) {
    super('LOG_STALE_EPOCH', `commit of epoch ${epoch} refused, the consumer is in epoch ${current}`);
  }
}
