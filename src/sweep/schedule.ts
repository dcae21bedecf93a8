import { sleep } from '../async/sleep.ts';
import { messageOf } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import type { RateLimiter } from '../rate-limit/rate-limiter.ts';
import { sweep, type SweepParts } from './sweep.ts';

/** The dependencies and settings of the schedule. */
export interface SweepScheduleParts extends Omit<SweepParts, 'queue' | 'roomInQueue' | 'onProgress'> {
  readonly queue: Pick<Queue, 'add' | 'counts'>;
  /** Shared by all replicas, so that only one of them sweeps in each period. */
  readonly rateLimiter: RateLimiter;
  /** The period in minutes: SWEEP_MINUTES. */
  readonly minutes: number;
  /** Called after each sweep with the number of tags for which no webhook arrived, and the duration in seconds. */
  readonly onSwept: (recovered: number, seconds: number) => void;
}

/** The delay before a failed sweep is repeated. */
const RETRY_MS = 30_000;
/** A sweep adds no tags while this many jobs wait for a worker. It continues when the queue has room again. */
const MAX_WAITING_JOBS = 5_000;
/** The sweep reads the length of the queue again after at most this many tags. */
const TAGS_PER_COUNT = 1_000;
/** How often a sweep checks whether a full queue has room again. */
const POLL_MS = 1_000;

/**
 * Sweeps at the start and then once in each period, until `stop` is called. `stop` ends a running sweep early and waits
 * for its end.
 */
export function startSweeping(parts: SweepScheduleParts): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const running = run(parts, stopping.signal);
  return {
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

async function run(parts: SweepScheduleParts, signal: AbortSignal): Promise<void> {
  let isDue = false;
  while (!signal.aborted) {
    let waitMs = RETRY_MS;
    try {
      waitMs = isDue ? 0 : await parts.rateLimiter.reserve('sweep', 1, parts.minutes * 60_000);
      isDue ||= waitMs === 0;
      if (isDue) {
        await sweepOnce(parts, signal);
        isDue = false;
      }
    } catch (error) {
      waitMs = RETRY_MS;
      parts.log.warn(
        { event: 'sweep.failed', reason: messageOf(error) },
        `could not compare the tags with the store; the sweep is repeated in ${RETRY_MS / 1000} s`,
      );
    }
    await sleep(waitMs, signal);
  }
}

async function sweepOnce(parts: SweepScheduleParts, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  const { queue, rateLimiter, minutes } = parts;
  // If a sweep takes longer than the period, no other replica may start the next sweep.
  const extendPeriod = (): Promise<void> => rateLimiter.hold('sweep', minutes * 60_000);
  const result = await sweep({ ...parts, roomInQueue: roomIn(queue, extendPeriod), onProgress: extendPeriod }, signal);
  if (signal.aborted) return;
  const seconds = (performance.now() - started) / 1000;
  parts.onSwept(result.recovered, seconds);
  parts.log.info(
    { event: 'sweep.finished', ...result, seconds: Number(seconds.toFixed(1)) },
    'compared tags with the store',
  );
}

/**
 * Returns a function that resolves once the queue has room for one more tag. The function reads the length of the queue
 * only once for many tags. It calls `onWait` repeatedly while it waits.
 */
function roomIn(queue: Pick<Queue, 'counts'>, onWait: () => Promise<void>): (signal: AbortSignal) => Promise<void> {
  let room = 0;
  return async (signal) => {
    while (room <= 0 && !signal.aborted) {
      room = Math.min(TAGS_PER_COUNT, MAX_WAITING_JOBS - (await queue.counts()).waiting);
      if (room > 0) continue;
      await onWait();
      await sleep(POLL_MS, signal);
    }
    room--;
  };
}
