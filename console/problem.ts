import { STATUS_CODES } from 'node:http';
import type { Problem } from '../broker/trigger/manifest.ts';
import { ApplyRefusedError } from '../broker/trigger/registry-plan.ts';
import { PosthornError } from '../runtime/errors.ts';

/** The body of an answer that is an error (RFC 9457). */
export interface ProblemDetails {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** The stable code of the error, where it has one. */
  readonly code?: string;
  /** What is wrong with the manifests, one by one. */
  readonly problems?: readonly Problem[];
}

export const problemType = 'application/problem+json; charset=utf-8';

/** Of an answer that is a JSON object a line. */
export const linesType = 'application/x-ndjson; charset=utf-8';

/** The manifests of a request that applies nothing are wrong; the problems say why, one by one. */
export class ManifestsRefusedError extends PosthornError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const errors = problems.filter(({ severity }) => severity === 'error').length;
    super('MANIFEST', `the manifests have ${errors} ${errors === 1 ? 'error' : 'errors'}`);
    this.problems = problems;
  }
}

export function problemDetails(
  status: number,
  detail: string,
  more: Pick<ProblemDetails, 'code' | 'problems'> = {},
): ProblemDetails {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail, ...more };
}

/** The answer to an error that a user can mend; null for a bug. */
export function problemOf(error: unknown): ProblemDetails | null {
  if (!(error instanceof PosthornError)) return null;
  const { code, message } = error;
  if (error instanceof ApplyRefusedError || error instanceof ManifestsRefusedError) {
    return problemDetails(422, message, { code, problems: error.problems });
  }
  return problemDetails(statusOf[code] ?? 500, message, { code });
}

const statusOf: Readonly<Record<string, number>> = {
  BAD_REQUEST: 400,
  TRIGGER_UNKNOWN: 404,
  BROKER_UNKNOWN: 404,
  BROKER_DELETE: 501,
  OWNED_BY_ANOTHER: 409,
  APPLY_CONFLICT: 409,
  PRUNE_EMPTY: 422,
  LOG_UNAVAILABLE: 503,
  LOG_FULL: 507,
  TRY_BUSY: 503,
};
