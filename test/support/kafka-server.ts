import { startKafkaCluster } from './kafka/cluster.ts';

/**
 * Runs a Kafka for tests in the foreground, until Ctrl-C: `npx node test/support/kafka-server.ts [NODES]`.
 * Other terminals then run single test files with KAFKA_BROKERS set to what this prints.
 */
const cluster = await startKafkaCluster({ nodes: Number(process.argv[2] ?? 1) });
console.log(`KAFKA_BROKERS=${cluster.brokers.join(',')}`);

const running = setInterval(() => {}, 60_000);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    clearInterval(running);
    void cluster.stop();
  });
}
