import { type Aggregator, Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { observed } from './histogram.ts';
import { onDemand } from './on-demand.ts';
import { BrokerTally, pauseReasons, type RefusalReason, TriggerTally } from './tallies.ts';
import { version } from './version.ts';

/** Everything that `/metrics` shows. Brokers are named `namespace/name`, triggers by their name. */
export interface Metrics {
  /** `registry.metrics()` is the text for Prometheus, `registry.contentType` its media type. */
  readonly registry: Registry;
  /** The same object for the same name. Only for brokers that exist: a name out of a request has no bound. */
  broker(broker: string): BrokerTally;
  /** A request for a broker that doesn't exist was refused. */
  refusedUnknown(reason: RefusalReason): void;
  /** The same object for the same names, until the trigger is forgotten. */
  trigger(broker: string, trigger: string): TriggerTally;
  /** Removes the series of a trigger that was deleted. */
  forgetTrigger(broker: string, trigger: string): void;
  /** Removes the series of a broker that was deleted and of its triggers. */
  forgetBroker(broker: string): void;
  /** Shows from now on what there is of a directory of schemas. */
  showSchemas(state: () => SchemasState): void;
  readonly laneLagRecords: Gauge<'group' | 'topic' | 'partition'>;
  readonly retryBacklogRecords: Gauge<'broker' | 'trigger'>;
  readonly lostRecords: Counter<'group' | 'topic' | 'partition'>;
  readonly retentionLeftSeconds: Gauge<'broker' | 'trigger'>;
  readonly consumerDisturbances: Counter<'group'>;
  /** 1 while the broker's triggers are known to be the current ones, else 0. */
  readonly registryFresh: Gauge<'broker'>;
  readonly triggersUnindexed: Gauge<'broker'>;
}

/** What there is of a directory of schemas. */
export interface SchemasState {
  /** Those in force. */
  readonly size: number;
  readonly problems: readonly string[];
}

/** prom-client's default of 10 ms was most of what an idle process took. The percentiles of the loop's lag include it. */
const loopLookMs = 50;

/** A registry of its own with all of Posthorn's metrics and those of the Node process. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: loopLookMs });
  new Gauge({
    name: 'posthorn_build_info',
    help: 'Always 1; the labels say what runs.',
    aggregator: 'first',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version, node: process.version }, 1);

  const brokers = brokerMetrics(registry);
  const triggers = triggerMetrics(registry);
  const lanes = laneMetrics(registry);
  const forgetTrigger = (broker: string, trigger: string): void => {
    triggers.forget(broker, trigger);
    lanes.retryBacklogRecords.remove(broker, trigger);
    lanes.retentionLeftSeconds.remove(broker, trigger);
  };
  return {
    registry,
    broker: brokers.of,
    refusedUnknown: (reason) => brokers.unknown.refused(reason),
    trigger: triggers.of,
    forgetTrigger,
    forgetBroker(broker) {
      for (const trigger of triggers.namesOf(broker)) forgetTrigger(broker, trigger);
      brokers.forget(broker);
      lanes.registryFresh.remove(broker);
      lanes.triggersUnindexed.remove(broker);
    },
    showSchemas: (state) => showSchemas(registry, state),
    ...lanes,
  };
}

function showSchemas(registry: Registry, state: () => SchemasState): void {
  measured(registry, 'posthorn_schemas', 'JSON Schemas of the directory that are in force.', 'max', function* () {
    yield [{}, state().size];
  });
  const problemsHelp = 'Mistakes in the directory of JSON Schemas as it stands; what it held before is in force.';
  measured(registry, 'posthorn_schema_problems', problemsHelp, 'max', function* () {
    yield [{}, state().problems.length];
  });
}

function laneMetrics(registry: Registry) {
  const registers = [registry];
  return {
    retryBacklogRecords: new Gauge({
      name: 'posthorn_retry_backlog_records',
      help: 'Deliveries that wait in the retry topic of the trigger.',
      labelNames: ['broker', 'trigger'],
      registers,
    }),
    laneLagRecords: new Gauge({
      name: 'posthorn_lane_lag_records',
      help: 'Records between the committed position of a consumer group and the end of the partition.',
      labelNames: ['group', 'topic', 'partition'],
      registers,
    }),
    lostRecords: new Counter({
      name: 'posthorn_lost_records_total',
      help: 'Records that the log deleted (retention) before they were settled, by the consumer group that lost them.',
      labelNames: ['group', 'topic', 'partition'],
      registers,
    }),
    retentionLeftSeconds: new Gauge({
      name: 'posthorn_trigger_retention_left_seconds',
      help: 'How long the log still keeps the oldest undelivered event of the trigger; absent where there is none.',
      aggregator: 'min',
      labelNames: ['broker', 'trigger'],
      registers,
    }),
    consumerDisturbances: new Counter({
      name: 'posthorn_consumer_disturbances_total',
      help: 'Times that a consumer had to rejoin its group or was built anew.',
      labelNames: ['group'],
      registers,
    }),
    registryFresh: new Gauge({
      name: 'posthorn_registry_fresh',
      help: '1 while the triggers of the broker are known to be the current ones; at 0 nothing is matched.',
      aggregator: 'min',
      labelNames: ['broker'],
      registers,
    }),
    triggersUnindexed: new Gauge({
      name: 'posthorn_triggers_unindexed',
      help: 'Triggers that name no value to find them by: evaluated for every event, or all that have an attribute.',
      aggregator: 'max',
      labelNames: ['broker'],
      registers,
    }),
  } satisfies Partial<Metrics>;
}

function brokerMetrics(registry: Registry) {
  const tallies = new Map<string, BrokerTally>();
  // An empty label is no label for Prometheus.
  const unknown = new BrokerTally('');

  const total = (name: string, help: string, value: (tally: BrokerTally) => number): void =>
    counted(registry, name, help, function* () {
      for (const tally of tallies.values()) yield [{ broker: tally.broker }, value(tally)];
    });
  const latencyHelp =
    'From the append of an event, or its deliverat, to its acknowledgement by a subscriber, retries included.';
  observed(registry, 'posthorn_event_latency_seconds', latencyHelp, function* () {
    for (const { broker, latencySeconds } of tallies.values()) yield [{ broker }, latencySeconds];
  });
  total('posthorn_events_accepted_total', 'Events that were appended and answered 202.', (b) => b.accepts);
  const duplicatesHelp = 'Events that were answered 202 and not appended, as the log had them already.';
  total('posthorn_deduplicated_events_total', duplicatesHelp, (b) => b.duplicates);
  const forgottenHelp = 'Events that are not known any more before their time: there are too many for the window.';
  total('posthorn_deduplicate_forgotten_total', forgottenHelp, (b) => b.forgottenIds);
  const ignoredHelp = 'Events whose deliverat is no time, as they were read; they are delivered at once.';
  total('posthorn_deliverat_ignored_total', ignoredHelp, (b) => b.ignoredTimes);
  const unknownHelp = 'Events that were accepted though the schema that they name is not known.';
  total('posthorn_unknown_schema_events_total', unknownHelp, (b) => b.unknownSchemas);
  const waitingHelp = 'Consumers of the broker that wait for a schema, to judge an event of a topic by it.';
  measured(registry, 'posthorn_lanes_waiting_for_schema', waitingHelp, 'sum', function* () {
    for (const { broker, lanesWithoutSchema } of tallies.values()) yield [{ broker }, lanesWithoutSchema];
  });
  const refusedHelp = 'Events that were not accepted; without a broker where there is none of that name.';
  counted(registry, 'posthorn_events_refused_total', refusedHelp, function* () {
    for (const { broker, refusals } of [unknown, ...tallies.values()]) {
      for (const [reason, value] of Object.entries(refusals)) yield [{ broker, reason }, value];
    }
  });
  return {
    unknown,
    of(broker: string): BrokerTally {
      let tally = tallies.get(broker);
      if (tally === undefined) {
        tally = new BrokerTally(broker);
        tallies.set(broker, tally);
      }
      return tally;
    },
    forget(broker: string): void {
      tallies.delete(broker);
    },
  };
}

function triggerMetrics(registry: Registry) {
  const brokers = new Map<string, Map<string, TriggerTally>>();
  function* tallies(): Generator<TriggerTally> {
    for (const triggers of brokers.values()) yield* triggers.values();
  }
  const total = (name: string, help: string, value: (tally: TriggerTally) => number): void =>
    counted(registry, name, help, function* () {
      for (const tally of tallies()) yield [{ broker: tally.broker, trigger: tally.trigger }, value(tally)];
    });
  const totals = (name: string, help: string, by: string, of: (tally: TriggerTally) => Record<string, number>): void =>
    counted(registry, name, help, function* () {
      for (const tally of tallies()) {
        const { broker, trigger } = tally;
        for (const [one, value] of Object.entries(of(tally))) yield [{ broker, trigger, [by]: one }, value];
      }
    });

  const durationHelp = 'One attempt, from the request to the end of the answer.';
  observed(registry, 'posthorn_delivery_duration_seconds', durationHelp, function* () {
    for (const { broker, trigger, durationSeconds } of tallies()) yield [{ broker, trigger }, durationSeconds];
  });
  observed(registry, 'posthorn_batch_events', 'Events of one request, of triggers with batches.', function* () {
    for (const { broker, trigger, batchEvents } of tallies()) yield [{ broker, trigger }, batchEvents];
  });
  total('posthorn_deliveries_total', 'Deliveries that the subscriber acknowledged.', (t) => t.deliveries);
  total('posthorn_retries_total', 'Failed attempts that will be tried again.', (t) => t.retries);
  total('posthorn_retry_spills_total', 'Deliveries that a busy trigger left to its retry topic.', (t) => t.spills);
  const stallsHelp = 'Times that other triggers had to wait for this one, since its retry topic could not be written.';
  total('posthorn_lane_stalls_total', stallsHelp, (t) => t.laneStalls);
  total(
    'posthorn_delayed_deliveries_total',
    'Deliveries that were put off to the deliverat of their event.',
    (t) => t.delays,
  );
  const attemptsHelp = 'Requests to subscribers by what they were answered.';
  totals('posthorn_delivery_attempts_total', attemptsHelp, 'status_class', (t) => t.attempts);
  totals('posthorn_dead_letters_total', 'Deliveries that were given up, by reason.', 'reason', (t) => t.deadLetters);
  totals('posthorn_replies_total', 'Events that subscribers answered with.', 'result', (t) => t.replies);
  const gauge = (
    name: string,
    help: string,
    aggregator: Aggregator,
    value: (tally: TriggerTally) => number | undefined,
  ): void =>
    measured(registry, name, help, aggregator, function* () {
      for (const tally of tallies()) {
        const current = value(tally);
        if (current !== undefined) yield [{ broker: tally.broker, trigger: tally.trigger }, current];
      }
    });
  gauge(
    'posthorn_deliveries_in_flight',
    'Requests to subscribers that are not answered yet.',
    'sum',
    (t) => t.inFlight,
  );
  const limitHelp =
    'Requests to the subscriber that may be in flight at once; 0 while its breaker is open or it is paused.';
  gauge('posthorn_trigger_concurrency_limit', limitHelp, 'sum', (t) => t.limit?.concurrency);
  const openHelp = '1 while the breaker of the trigger is open: its subscriber is down, only probes are sent.';
  gauge('posthorn_trigger_breaker_open', openHelp, 'max', (t) => (t.limit ? Number(t.limit.isOpen) : undefined));
  const pausedHelp =
    'Whether the trigger is paused: by its annotation, since its subscriber answered 410 (gone) or has not allowed ' +
    'deliveries (handshake), or since there is no secret to sign them with.';
  measured(registry, 'posthorn_trigger_paused', pausedHelp, 'max', function* () {
    for (const { broker, trigger, limit } of tallies()) {
      if (limit)
        for (const reason of pauseReasons) yield [{ broker, trigger, reason }, Number(limit.pausedBy === reason)];
    }
  });
  return {
    of(broker: string, trigger: string): TriggerTally {
      let triggers = brokers.get(broker);
      if (triggers === undefined) {
        triggers = new Map();
        brokers.set(broker, triggers);
      }
      let tally = triggers.get(trigger);
      if (tally === undefined) {
        tally = new TriggerTally(broker, trigger);
        triggers.set(trigger, tally);
      }
      return tally;
    },
    namesOf: (broker: string): string[] => [...(brokers.get(broker)?.keys() ?? [])],
    forget(broker: string, trigger: string): void {
      const triggers = brokers.get(broker);
      triggers?.delete(trigger);
      if (triggers?.size === 0) brokers.delete(broker);
    },
  };
}

type Sample = [labels: Record<string, string>, value: number];

/** A gauge, as `counted`. @param aggregator what several processes have together */
function measured(
  registry: Registry,
  name: string,
  help: string,
  aggregator: Aggregator,
  samples: () => Iterable<Sample>,
): void {
  onDemand(registry, { name, help, type: 'gauge', aggregator }, function* () {
    for (const [labels, value] of samples()) yield { labels, value };
  });
}

/**
 * A counter whose values are read from elsewhere when `/metrics` is asked for. All series of a known broker or trigger
 * are there from the start, at 0: an alert on an increase would miss a first one that came out of nothing.
 */
function counted(registry: Registry, name: string, help: string, samples: () => Iterable<Sample>): void {
  onDemand(registry, { name, help, type: 'counter', aggregator: 'sum' }, function* () {
    for (const [labels, value] of samples()) yield { labels, value };
  });
}
