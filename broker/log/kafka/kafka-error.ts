import type { Logger } from 'pino';
import { type Clock, sleep } from '../../../runtime/clock.ts';
import { messageOf, PosthornError } from '../../../runtime/errors.ts';
import { LogUnavailableError, UnknownTopicError } from '../errors.ts';
import { describeErrorCode } from './kafkajs.ts';
import type { Outage } from './outage.ts';

/** The error codes of Kafka's protocol that we decide by. */
export const code = {
  unknownServerError: -1,
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  brokerNotAvailable: 8,
  messageTooLarge: 10,
  coordinatorLoadInProgress: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  recordListTooLarge: 18,
  illegalGeneration: 22,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  topicAlreadyExists: 36,
  invalidReplicationFactor: 38,
  notController: 41,
  nonEmptyGroup: 68,
  groupIdNotFound: 69,
  fetchSessionIdNotFound: 70,
  invalidFetchSessionEpoch: 71,
  memberIdRequired: 79,
  throttlingQuotaExceeded: 89,
} as const;

/** Kafka answered with an error code. */
export class KafkaCodeError extends Error {
  readonly code: number;
  readonly isTransient: boolean;

  constructor(errorCode: number, what: string) {
    const { name, meaning, isTransient } = describeErrorCode(errorCode);
    super(`${what}: ${name}, ${meaning}`);
    this.name = 'KafkaCodeError';
    this.code = errorCode;
    this.isTransient = isTransient || alsoTransient.has(errorCode);
  }
}

const alsoTransient = new Set<number>([
  code.unknownServerError,
  code.brokerNotAvailable,
  code.unknownTopicOrPartition,
  code.coordinatorLoadInProgress,
  code.coordinatorNotAvailable,
  code.notCoordinator,
  code.notController,
  code.throttlingQuotaExceeded,
]);

/** @throws KafkaCodeError unless the code is 0 */
export function requireNone(errorCode: number, what: string): void {
  if (errorCode !== code.none) throw new KafkaCodeError(errorCode, what);
}

/** Between two attempts, in milliseconds: 50, 100, 200, 400, then every 500, so that a new leader is soon found. */
const firstPauseMs = 50;
const longestPauseMs = 500;

/**
 * A broker that has not heard yet of a new topic says it does not exist. Kafka spreads that within some ten
 * milliseconds; a topic that is unknown for this long does not exist.
 */
const unknownTopicPatienceMs = 1_000;

export interface Persistence {
  /** What is attempted, for messages: `appending to topic[3]`. */
  readonly what: string;
  /** The topic that UnknownTopicError names, where the attempt is about one. */
  readonly topic?: string;
  /** Until when attempts start, in milliseconds of the monotonic clock. */
  readonly deadlineMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly outage: Outage;
  readonly signal?: AbortSignal;
}

/**
 * Attempts until it works, the deadline has come, or an error says that no further attempt will help.
 * @throws UnknownTopicError, LogUnavailableError, and PosthornErrors of the attempt
 */
export async function persist<T>(persistence: Persistence, attempt: () => Promise<T>): Promise<T> {
  const { what, topic, deadlineMs, clock, logger, outage, signal } = persistence;
  let unknownSinceMs: number | null = null;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    signal?.throwIfAborted();
    const beganMs = clock.monotonic();
    try {
      const result = await attempt();
      outage.worked(what);
      return result;
    } catch (error) {
      if (error instanceof PosthornError) throw error;
      signal?.throwIfAborted();
      const nowMs = clock.monotonic();
      unknownSinceMs = isUnknownTopic(error) ? (unknownSinceMs ?? nowMs) : null;
      if (topic !== undefined && unknownSinceMs !== null && nowMs - unknownSinceMs >= unknownTopicPatienceMs) {
        outage.gaveUp(what);
        throw new UnknownTopicError(topic);
      }
      const isOutage = isTransient(error);
      if (isOutage) outage.failed(what, error, beganMs);
      else outage.gaveUp(what);
      if (!isOutage || nowMs + pauseMs >= deadlineMs) {
        throw new LogUnavailableError(`${what} failed: ${messageOf(error)}`, { cause: error, isOutage });
      }
      logger.debug({ err: messageOf(error) }, `${what} failed and is tried again`);
    }
    await sleep(clock, pauseMs, signal);
  }
}

function isUnknownTopic(error: unknown): boolean {
  return error instanceof KafkaCodeError && error.code === code.unknownTopicOrPartition;
}

/** Whether another attempt may help: connections break and come back, but a refused password stays refused. */
export function isTransient(error: unknown): boolean {
  if (error instanceof KafkaCodeError) return error.isTransient;
  return error instanceof Error && !hopeless.has(error.name);
}

const hopeless = new Set([
  'KafkaJSSASLAuthenticationError',
  'KafkaJSUnsupportedMagicByteInMessageSet',
  'KafkaJSServerDoesNotSupportApiKey',
  'KafkaJSNotImplemented',
  'UnreadableRecordsError',
]);

/** Ends the wait at the deadline, also for an attempt that is in flight then. @throws LogUnavailableError(message) */
export async function beforeDeadline<T>(
  deadlineMs: number,
  clock: Clock,
  message: string,
  run: () => Promise<T>,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = clock.setTimer(
    () => reject(new LogUnavailableError(message, { isOutage: true })),
    Math.max(0, deadlineMs - clock.monotonic()),
  );
  try {
    return await Promise.race([run(), late]);
  } finally {
    timer.cancel();
  }
}
