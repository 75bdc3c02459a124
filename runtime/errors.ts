/**
 * An error that a user is meant to read: its message says what was wrong, where, and what would be right, and its
 * code is stable. Whatever else is thrown is a bug in Posthorn.
 */
export class PosthornError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The error's own words: for log lines and answers, where a stack would be noise. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The command line, the environment or the configuration file is wrong. Exit code 2. */
export class UsageError extends PosthornError {
  constructor(message: string, options?: ErrorOptions) {
    super('USAGE', message, options);
  }
}
