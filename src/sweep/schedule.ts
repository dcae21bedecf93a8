import { sleep } from '../async/sleep.ts';
import { messageOf } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import type { RateLimiter } from '../rate-limit/rate-limiter.ts';
import { sweep, type SweepParts } from './sweep.ts';

/** What the schedule needs. */
export interface SweepScheduleParts extends Omit<SweepParts, 'queue' | 'roomInQueue' | 'onProgress'> {
  readonly queue: Pick<Queue, 'add' | 'counts'>;
  /** Shared by all replicas, so that only one of them sweeps in each period. */
  readonly rateLimiter: RateLimiter;
  /** SWEEP_MINUTES. */
  readonly minutes: number;
  /** Called after each sweep with the number of tags that no webhook had announced, and the duration in seconds. */
  readonly onSwept: (recovered: number, seconds: number) => void;
}

/** A failed sweep is repeated after this time. */
const RETRY_MS = 30_000;
/** A sweep adds no tags while this many jobs wait for a worker. It goes on when there is room. */
const MAX_WAITING_JOBS = 5_000;
/** After this many tags the length of the queue is read again. */
const TAGS_PER_COUNT = 1_000;
/** How often a sweep checks whether a full queue has room again. */
const POLL_MS = 1_000;

/** Sweeps at once and then every few minutes, until `stop`, which waits for a running sweep to end early. */
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
  // While a sweep takes longer than the period, no other replica may begin the next one.
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
 * Returns a function that resolves once the queue has room for one more tag. It reads the length of the queue only once for
 * many tags, and calls `onWait` while it waits.
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
