import { messageOf } from '../errors.ts';
import type { RateLimiter } from '../rate-limit/rate-limiter.ts';
import { sleep } from '../async/sleep.ts';
import type { Queue } from '../queue/queue.ts';
import { sweep, type SweepParts } from './sweep.ts';

/** When to sweep, and whom to tell. */
export interface SweepingParts extends Omit<SweepParts, 'queue' | 'roomInQueue' | 'onProgress'> {
  readonly queue: Pick<Queue, 'add' | 'counts'>;
  /** Shared by all replicas: only one of them sweeps in each period. */
  readonly rateLimiter: RateLimiter;
  /** SWEEP_MINUTES. */
  readonly minutes: number;
  /** Told of each sweep how many tags there were that no webhook had told of, and the seconds that it took. */
  readonly onSwept: (recovered: number, seconds: number) => void;
}

/** A sweep that failed is tried again after this time. */
const AGAIN_MS = 30_000;
/** No more tags than this wait for a worker: a sweep that found many goes on when there is room. */
const LONGEST_QUEUE = 5_000;
/** How often one looks whether there is room, in milliseconds. */
const LOOK_MS = 1_000;

/** Sweeps now and then every few minutes, until stopped. */
export function startSweeping(parts: SweepingParts): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const running = run(parts, stopping.signal);
  return {
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

async function run(parts: SweepingParts, signal: AbortSignal): Promise<void> {
  let due = false;
  while (!signal.aborted) {
    let waitMs = AGAIN_MS;
    try {
      waitMs = due ? 0 : await parts.rateLimiter.reserve('sweep', 1, parts.minutes * 60_000);
      due ||= waitMs === 0;
      if (due) {
        await sweepOnce(parts, signal);
        due = false;
      }
    } catch (error) {
      waitMs = AGAIN_MS;
      parts.log.warn({ reason: messageOf(error) }, 'the comparison of tags with the store failed and will be repeated');
    }
    await sleep(waitMs, signal);
  }
}

async function sweepOnce(parts: SweepingParts, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  const { queue, rateLimiter, minutes } = parts;
  // One that takes longer than the time between two must not meet the next, on another replica.
  const goOn = (): Promise<void> => rateLimiter.hold('sweep', minutes * 60_000);
  const result = await sweep({ ...parts, roomInQueue: roomIn(queue, goOn), onProgress: goOn }, signal);
  if (signal.aborted) return;
  const seconds = (performance.now() - started) / 1000;
  parts.onSwept(result.recovered, seconds);
  parts.log.info(
    { event: 'sweep.finished', ...result, seconds: Number(seconds.toFixed(1)) },
    'compared tags with the store',
  );
}

/** Looks at the queue for the first of a thousand tags, and then until there is room, telling all the while that it waits. */
function roomIn(queue: Pick<Queue, 'counts'>, waits: () => Promise<void>): (signal: AbortSignal) => Promise<void> {
  let free = 0;
  return async (signal) => {
    while (free <= 0 && !signal.aborted) {
      free = Math.min(1_000, LONGEST_QUEUE - (await queue.counts()).waiting);
      if (free > 0) continue;
      await waits();
      await sleep(LOOK_MS, signal);
    }
    free--;
  };
}
