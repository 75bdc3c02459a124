import { startPosthorn } from '../../test/support/posthorn.ts';
import { applyTo, triggerYaml } from '../../test/support/triggers.ts';
import { until } from '../../test/support/until.ts';
import { startLoad } from '../traffic/load.ts';
import { SinkProcess } from '../traffic/sink.ts';
import { residentMiB } from './figures.ts';
import { pauseForSome } from './pause.ts';

export interface SteadyOptions {
  /** Arguments of `posthorn serve`. */
  readonly args: readonly string[];
  /** Events of 1 KB a second. */
  readonly rate: number;
  readonly warmSeconds: number;
  readonly seconds: number;
  /** Between two looks at the memory; none is looked at if absent. */
  readonly sampleSeconds?: number;
  readonly signal: AbortSignal;
}

export interface Steady {
  /** From sending an event to its arrival, in milliseconds. */
  readonly latencies: readonly number[];
  /** Of Posthorn, in turn. */
  readonly residentMiB: readonly number[];
  readonly accepted: number;
  readonly refused: number;
  /** Accepted, and not arrived within a minute after the last was sent. */
  readonly missing: number;
  /** Of the process that sends, in percent of a core. */
  readonly loadCpuPercent: number;
}

const arrivalMs = 60_000;

/** A steady rate of events through an ingress, one trigger, to an instant subscriber. */
export async function steady(options: SteadyOptions): Promise<Steady> {
  const { args, rate, warmSeconds, seconds, sampleSeconds = seconds, signal } = options;
  const sink = await SinkProcess.start(1);
  const total = () => sink.total();
  try {
    const posthorn = await startPosthorn(args);
    try {
      await applyTo(posthorn.adminUrl, triggerYaml('bench', sink.urls[0] ?? ''));
      const load = startLoad({ url: posthorn.url, perSecond: rate, types: 1 });
      const beganMs = performance.now();
      const memory: number[] = [];
      try {
        await pauseForSome(warmSeconds, total, signal);
        await sink.reset();
        for (let passed = 0; passed < seconds; passed += sampleSeconds) {
          await pauseForSome(Math.min(sampleSeconds, seconds - passed), total, signal);
          memory.push(residentMiB(posthorn.pid));
        }
      } catch (error) {
        await load.stop();
        throw error;
      }
      const latencies = (await sink.latencies()).flat();
      const tookMs = performance.now() - beganMs;
      const { accepted, refused, cpuSeconds } = await load.stop();
      const haveArrived = async () => (await total()) >= accepted;
      await until(haveArrived, 'every event to arrive', arrivalMs).catch(() => {});
      const missing = Math.max(0, accepted - (await total()));
      return {
        ...{ latencies, residentMiB: memory, accepted, refused, missing },
        loadCpuPercent: (100_000 * cpuSeconds) / tookMs,
      };
    } finally {
      await posthorn.kill();
    }
  } finally {
    await sink.stop();
  }
}
