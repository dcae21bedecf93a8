import { existsSync, readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** The limit for `measure`, in milliseconds. After such a block, nobody notices a delay, and no lease has expired. */
export const MAX_BLOCK_MS = 100;

/** How often the probe looks at the event loop, in milliseconds. */
const RESOLUTION_MS = 5;
/** The maximum number of measurements. */
const ATTEMPTS = 3;

/** The result of work, and what it cost. */
export interface Measured<T> {
  readonly result: T;
  /** The longest time for which the event loop stood still during the work, in milliseconds. */
  readonly longestBlockMs: number;
  /** The duration of the work, in milliseconds. */
  readonly tookMs: number;
  /** The growth of the memory of the process during the work, in bytes. It is sampled, so a short peak is missed. */
  readonly grewBytes: number;
}

/**
 * Runs work, and measures how long it blocks the event loop of this process. The other work of the process counts too,
 * so tests of a file must not run at the same time.
 *
 * On a busy machine, the event loop also stands still while its thread gets no processor. Therefore a block counts only
 * as far as the thread used processor time in it. If the longest block is longer than MAX_BLOCK_MS, the work is
 * repeated, because a block by the work itself occurs each time.
 */
export async function measure<T>(work: () => T | Promise<T>): Promise<Measured<T>> {
  let measured = await measureOnce(work);
  for (let attempt = 1; attempt < ATTEMPTS && measured.longestBlockMs > MAX_BLOCK_MS; attempt++)
    measured = await measureOnce(work);
  return measured;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

async function measureOnce<T>(work: () => T | Promise<T>): Promise<Measured<T>> {
  // The garbage of the test itself does not count.
  collectGarbage();
  const before = process.memoryUsage().rss;
  using probe = await EventLoopProbe.start();
  const started = performance.now();
  const result = await work();
  const tookMs = performance.now() - started;
  const longestBlockMs = await probe.longestBlockMs();
  return { result, longestBlockMs, tookMs, grewBytes: probe.peakBytes - before };
}

/** Observes the event loop of this thread and the memory of this process, until it is disposed of. */
export class EventLoopProbe implements Disposable {
  /** The largest memory of the process so far, in bytes. It is sampled, so a short peak is missed. */
  peakBytes = process.memoryUsage().rss;
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #sampler: NodeJS.Timeout;
  #usedMs = processorTimeMs();
  #longestUseMs = 0;

  private constructor() {
    this.#delay.enable();
    this.#sampler = setInterval(() => this.#sample(), RESOLUTION_MS);
  }

  /** Resolves when the probe observes. */
  static async start(): Promise<EventLoopProbe> {
    const probe = new EventLoopProbe();
    // The first sample of a delay is only the start of the first interval, so it must come before the work.
    await wait(3 * RESOLUTION_MS);
    return probe;
  }

  /** Resolves to the longest block so far, in milliseconds. See `measure` for what counts. */
  async longestBlockMs(): Promise<number> {
    // A block is recorded by the first sample after it.
    await wait(3 * RESOLUTION_MS);
    return Math.min(this.#delay.max / 1e6, this.#longestUseMs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#sampler);
    this.#delay.disable();
  }

  #sample(): void {
    const now = processorTimeMs();
    this.#longestUseMs = Math.max(this.#longestUseMs, now - this.#usedMs);
    this.#usedMs = now;
    this.peakBytes = Math.max(this.peakBytes, process.memoryUsage().rss);
  }
}

/** The accounting of the scheduler for the current thread (sched-stats in the documentation of Linux). */
const SCHEDULER_STATISTICS = '/proc/thread-self/schedstat';
const hasStatistics = existsSync(SCHEDULER_STATISTICS);

/**
 * Returns the processor time that this thread has used, in milliseconds. Other systems than Linux only have the time of
 * all threads of the process.
 */
export function processorTimeMs(): number {
  if (hasStatistics) return Number.parseInt(readFileSync(SCHEDULER_STATISTICS, 'latin1'), 10) / 1e6;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
