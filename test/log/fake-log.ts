import { encodedBytes, type NewRecord, type TopicInfo } from '../../broker/log/log.ts';

/** One append, as the log got it. */
export interface FakeAppend {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly NewRecord[];
  readonly values: string[];
  readonly bytes: number;
  resolve(): void;
  reject(error: Error): void;
}

/** A log whose appends wait for the test to settle them, or are answered by `answer`. */
export class FakeLog {
  readonly appends: FakeAppend[] = [];
  readonly held: string[] = [];
  readonly inFlight = new Map<string, number>();
  inFlightMax = 0;
  info: TopicInfo = { partitions: 4, retentionMs: null, maxMessageBytes: 100_000 };
  describeError: Error | undefined;
  answer: 'wait' | ((append: FakeAppend) => void) = (append) => append.resolve();

  async describeTopic(): Promise<TopicInfo> {
    if (this.describeError) throw this.describeError;
    return this.info;
  }

  append(topic: string, partition: number, records: readonly NewRecord[]): Promise<number> {
    const lane = `${topic}/${partition}`;
    const count = (this.inFlight.get(lane) ?? 0) + 1;
    this.inFlight.set(lane, count);
    this.inFlightMax = Math.max(this.inFlightMax, count);
    return new Promise((resolve, reject) => {
      const done = (): void => void this.inFlight.set(lane, (this.inFlight.get(lane) ?? 0) - 1);
      const values = records.map((record) => String(record.value));
      const append: FakeAppend = {
        topic,
        partition,
        records,
        values,
        bytes: records.reduce((sum, record) => sum + encodedBytes(record), 0),
        resolve: () => {
          done();
          this.held.push(...values);
          resolve(this.held.length - values.length);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      this.appends.push(append);
      if (this.answer !== 'wait') this.answer(append);
    });
  }
}
