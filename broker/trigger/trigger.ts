import type { JsonPointer } from '../../event/json-pointer.ts';
import type { MappedAttribute } from '../../event/plain.ts';
import type { Template } from '../../event/template.ts';
import type { TopicOffsets } from '../log/log.ts';

/** A broker's name; written `namespace/name`. Both parts are DNS labels. */
export interface BrokerName {
  readonly namespace: string;
  readonly name: string;
}

/** An events topic, or several, and what holds for all of its triggers (Knative `eventing.knative.dev/v1` Broker). */
export interface Broker extends BrokerName {
  /**
   * The events topics that are not Posthorn's own (`kafka.eventing.knative.dev/external.topic`); all are read, the first
   * is appended to. Empty: the broker has its own.
   */
  readonly externalTopics: readonly string[];
  /** Where the lanes of an external topic start (`posthorn.dev/initial-offset`). */
  readonly initialOffset: 'earliest' | 'latest';
  /** For how long an event that comes again is not appended again (`posthorn.dev/deduplicate`); null: it is. */
  readonly deduplicateMs: number | null;
  /** The secret that producers sign their requests with (`posthorn.dev/verify-with`); null: they need not. */
  readonly verifyWith: string | null;
  /** Attributes of records that are no CloudEvents (`posthorn.dev/attributes`); null: from where they stand alone. */
  readonly attributes: readonly MappedAttribute[] | null;
  /** What makes the key of a record that is appended (`posthorn.dev/key`); null: the event's `partitionkey`. */
  readonly key: RecordKey | null;
  /** Whether a record that is appended holds the event or its data alone (`posthorn.dev/value-format`). */
  readonly valueFormat: 'cloudevent' | 'data';
  /** What JSON Schemas say of its events; null: it says nothing of that. */
  readonly schemaRules: SchemaRules | null;
  /** What triggers without a `delivery` of their own use; null is the default policy. */
  readonly delivery: DeliveryPolicy | null;
  /** The manifest as it was applied. */
  readonly manifest: Manifest;
}

/** Which events are accepted: whatever violates a schema that is known is not, unless `off`. */
export const schemaPolicies = ['off', 'known', 'named', 'required'] as const;

/** How the events of a broker are held to JSON Schemas. */
export interface SchemaRules {
  /**
   * `known`: others are accepted; `named`: those that name an unknown one are not; `required`: nor those without any
   * (`posthorn.dev/schemas`).
   */
  readonly policy: (typeof schemaPolicies)[number];
  /** By event type, the schema, beside the one that an event names (`posthorn.dev/type-schemas`). */
  readonly types: ReadonlyMap<string, string>;
  /** Whether what comes from the topics is judged too (`posthorn.dev/validate-topic`). */
  readonly onTopic: boolean;
}

/** A record's key, made of the event's data: a text, or an object of JSON with these members in this order. */
export type RecordKey =
  | { readonly kind: 'text'; readonly template: Template }
  | { readonly kind: 'json'; readonly members: readonly { readonly name: string; readonly pointer: JsonPointer }[] };

/** Filter + subscriber + delivery settings (Knative `eventing.knative.dev/v1` Trigger). */
export interface Trigger {
  /** Given when the trigger is made; a trigger that is deleted and made again gets another. */
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  /** The broker's name, in the same namespace. */
  readonly broker: string;
  /** Counts the revisions of this trigger, from 1. */
  readonly generation: number;
  /** Who applied it; only an owner's `--prune` deletes what the owner applied. */
  readonly owner: string;
  /** All must pass. Empty: every event passes. */
  readonly filters: readonly Filter[];
  /** An expression of CEL that `compileDataFilter` takes (`posthorn.dev/data-filter`); asked last. Null: none. */
  readonly dataFilter: string | null;
  /** An absolute http or https URL. */
  readonly subscriberUri: string;
  /** The trigger's own, or its broker's, or the default. */
  readonly delivery: DeliveryPolicy;
  /**
   * How the events topic is read for it: with the other triggers, by a consumer group of its own
   * (`posthorn.dev/consumer-group: own`), or by that and in order (`kafka.eventing.knative.dev/delivery.order`).
   */
  readonly lane: 'shared' | 'own' | 'ordered';
  /** Who has read the events topic for it since when, oldest first; the last is in force. Empty: shared, always. */
  readonly laneSpans: readonly LaneSpan[];
  /** Most requests in flight at once (`posthorn.dev/max-in-flight`). */
  readonly maxInFlight: number;
  /** Whether a request has several events (`posthorn.dev/batch`); null: one. */
  readonly batch: BatchSettings | null;
  /** Most attempts in a time, in each process (`posthorn.dev/rate`); null: no bound. */
  readonly rate: AttemptRate | null;
  /** Whether its events wait for now (`posthorn.dev/paused`). */
  readonly paused: boolean;
  /** What a 410 says: that the event is refused, or that all wait until its next revision (`posthorn.dev/on-gone`). */
  readonly onGone: 'dead-letter' | 'pause';
  /** The secret that deliveries are signed with (`posthorn.dev/sign-with`); null: they are not. */
  readonly signWith: string | null;
  /** Whether the subscriber is asked first (`posthorn.dev/webhook-handshake`). */
  readonly webhookHandshake: boolean;
  /** The broker that gets its replies (`posthorn.dev/reply-to`); null: its own. */
  readonly replyTo: BrokerName | null;
  readonly manifest: Manifest;
}

/** So many attempts in so much time. */
export interface AttemptRate {
  readonly attempts: number;
  readonly perMs: number;
}

/** How events are put together into one request. */
export interface BatchSettings {
  /** Most events of a batch. */
  readonly eventsMax: number;
  /** Most bytes of a batch's body (`posthorn.dev/batch-bytes`); an event that is larger goes alone. */
  readonly bytesMax: number;
  /** How long an event waits for others, until the batch is full (`posthorn.dev/batch-linger`). */
  readonly lingerMs: number;
}

/** From when on a trigger is read by which group. */
export interface LaneSpan {
  readonly group: 'shared' | 'own';
  /** A partition that is not among these belongs to it from its beginning. */
  readonly from: TopicOffsets;
  /** The trigger's own group has delivered what it had to; absent where it may not have. */
  readonly isServed?: true;
}

/** A filter expression of Knative's Trigger `spec.filters` (or `spec.filter.attributes`, as `attributes`). */
export type Filter =
  | { readonly dialect: 'exact'; readonly attributes: AttributeValues }
  | { readonly dialect: 'prefix'; readonly attributes: AttributeValues }
  | { readonly dialect: 'suffix'; readonly attributes: AttributeValues }
  /** Like exact, but `""` asks only that the attribute be present, and not empty. */
  | { readonly dialect: 'attributes'; readonly attributes: AttributeValues }
  | { readonly dialect: 'all'; readonly filters: readonly Filter[] }
  | { readonly dialect: 'any'; readonly filters: readonly Filter[] }
  | { readonly dialect: 'not'; readonly filter: Filter }
  /** An expression of CloudEvents SQL that `compileFilter` takes. */
  | { readonly dialect: 'cesql'; readonly expression: string };

/** Attribute names and what their values are compared with; every one must hold. */
export type AttributeValues = Readonly<Record<string, string>>;

/** How deliveries are attempted (Knative `spec.delivery`), with every default filled in. */
export interface DeliveryPolicy {
  /** Attempts in all, the first included (`retry` + 1). */
  readonly attemptsMax: number;
  readonly backoffPolicy: 'linear' | 'exponential';
  readonly backoffDelayMs: number;
  /** No delay of the backoff exceeds this. */
  readonly backoffMaxMs: number;
  /** The share by which a delay is varied at random, 0 to 1; 0 wherever the policy was given by the user. */
  readonly jitter: number;
  readonly timeoutMs: number;
  /** Bound on an answered Retry-After; null: `backoffMaxMs` bounds it; 0: Retry-After is ignored. */
  readonly retryAfterMaxMs: number | null;
  readonly format: 'binary' | 'json';
  /** An absolute URL, or null. */
  readonly deadLetterSinkUri: string | null;
}

/** A manifest as JSON, as the user wrote it; `get -o yaml` prints it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/**
 * The default policy: 16 attempts, exponential from 1 s, capped at 1 h. The delays are
 * 1 s, 2 s, 4 s ... 2048 s, then 1 h three times: the last attempt comes about 4 h 8 min after the first.
 */
export const defaultDelivery: DeliveryPolicy = {
  attemptsMax: 16,
  backoffPolicy: 'exponential',
  backoffDelayMs: 1_000,
  backoffMaxMs: 3_600_000,
  jitter: 0.2,
  timeoutMs: 30_000,
  retryAfterMaxMs: null,
  format: 'binary',
  deadLetterSinkUri: null,
};

/** 256 requests in flight keep a 10 ms handler at 25,000 deliveries/s. */
export const defaultMaxInFlight = 256;
