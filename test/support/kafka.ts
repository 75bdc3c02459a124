/**
 * The addresses of the real Kafka of this test run.
 * @throws Error saying how to start one
 */
export async function kafkaBrokers(): Promise<string[]> {
  const brokers = (process.env.KAFKA_BROKERS ?? '').split(',').filter((broker) => broker !== '');
  if (brokers.length > 0) return brokers;
  throw new Error(`KAFKA_BROKERS is not set. \`npm test -- FILE\` starts a Kafka for the run; or start one with
  npx node test/support/kafka-server.ts
and run this test with the KAFKA_BROKERS that it prints.`);
}
