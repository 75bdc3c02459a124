import { pino } from 'pino';
import t from 'tap';
import { openKafkaLog } from '../../broker/log/kafka/kafka-log.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { conformance } from './conformance.ts';

const brokers = await kafkaBrokers();

function open() {
  return openKafkaLog({ brokers, replicationFactor: 1, logger: pino({ level: 'silent' }) });
}

await conformance(t, 'kafka', async () => {
  let log = await open();
  return {
    log,
    async reopen() {
      await log.close();
      log = await open();
      return log;
    },
    close: () => log.close(),
  };
});
