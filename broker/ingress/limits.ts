/** What the ingress takes at most. What meets a limit is answered, and never held in memory. */
export interface IngressLimits {
  /** Of one event: the names and values of its attributes (UTF-8) and its data. */
  readonly eventMaxBytes: number;
  /** The body of a request that holds events in JSON, structured or a batch. */
  readonly batchMaxBytes: number;
  readonly attributesMax: number;
  /** The request line and all header lines of a request. */
  readonly headersMaxBytes: number;
  readonly headersMax: number;
  /** Bodies that are being received or wait for the log, of all requests together. */
  readonly receivedBytesMax: number;
  /** Events of one broker that are known for its `posthorn.dev/deduplicate`; a power of two. */
  readonly deduplicatedIdsMax: number;
  /** Bytes of a topic's last records that are read, when the process begins to deduplicate, to know what they are. */
  readonly deduplicatedTailMaxBytes: number;
  readonly connectionsMax: number;
  /** From the first byte of a request (or the connection's beginning) to the end of its headers. */
  readonly headersTimeoutMs: number;
  /** From the first byte of a request to the end of its body. */
  readonly requestTimeoutMs: number;
  /** How long a connection may stay open between two requests. */
  readonly keepAliveTimeoutMs: number;
}

const mebibyte = 1024 * 1024;

export const defaultIngressLimits: IngressLimits = {
  /** Kafka's own default for the largest message, and Knative's advice to producers is far below. */
  eventMaxBytes: mebibyte,
  /**
   * Four times an event: the JSON form of one is up to 3 times as long (base64 is 4/3, non-ASCII text in `\u` escapes
   * 2 to 3), so that no event which is allowed fails by its form; and a batch of 1 KB events may hold 4,000.
   */
  batchMaxBytes: 4 * mebibyte,
  /** Each takes up to 13 bytes of framing in a record, for which its topic has 64 KiB to spare. */
  attributesMax: 256,
  /** 16 KiB of attributes with every byte percent-encoded are 48 KiB, and room for the other headers. */
  headersMaxBytes: 64 * 1024,
  headersMax: 512,
  /** As much again on the way in as may wait in the gathered append. */
  receivedBytesMax: 128 * mebibyte,
  /** 32 MiB a broker, reached in steps; 10 minutes of 1,700 events/s. */
  deduplicatedIdsMax: 1_048_576,
  /** 50,000 events of 1 KB, a second or so to read. */
  deduplicatedTailMaxBytes: 64 * mebibyte,
  /** About 30 KiB each, so 120 MiB if all are open. */
  connectionsMax: 4_096,
  headersTimeoutMs: 10_000,
  /** 4 MiB in this time are 140 KB/s. */
  requestTimeoutMs: 30_000,
  /** Longer than the 60 s of common load balancers, which else send into a connection that is being closed. */
  keepAliveTimeoutMs: 72_000,
};
