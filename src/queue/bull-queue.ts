import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type Bull from 'bull';
import pLimit from 'p-limit';
import { DeadlinePolicy } from '../async/deadline-policy.ts';
import { retry } from '../async/retry.ts';
import { withTimeout } from '../async/with-timeout.ts';
import { jobOptions, openBull } from '../redis/bull.ts';
import { checkRedis } from '../redis/check.ts';
import { joinLine } from '../redis/line.ts';
import { RedisConnection } from '../redis/connection.ts';
import { WrongRedisSettings } from '../redis/wrong-settings.ts';
import { bullPriority, lineOf, storedJobSchema, type BullQueueOptions, type StoredJob } from './bull-job.ts';
import { BullWorker } from './bull-worker.ts';
import type { AddResult, Handler, Queue, QueueCounts } from './queue.ts';
import { idOf, type TagJob } from './tag-job.ts';

/** How long the queue remembers a delivery, in milliseconds. */
const DELIVERY_MEMORY_MS = 3_600_000;
/** An operation fails after this many milliseconds. GitLab waits ten seconds for the response to a webhook. */
const REDIS_TIMEOUT_MS = 4_000;
/** The wait between two attempts of an operation, in milliseconds. */
const RETRY_INTERVAL_MS = 200;
/**
 * The maximum number of jobs that are stored at the same time. Further jobs wait without a timeout. If thousands of
 * jobs were stored at once, Redis could not reply to each of them within REDIS_TIMEOUT_MS.
 */
const MAX_CONCURRENT_ADDS = 100;

/**
 * Returns the data of a job. If the job has no data, deletes its hash and returns 1. If there is no hash, returns 0.
 */
const READ_SCRIPT = `
local data = redis.call('HGET', KEYS[1], 'data')
if data then return data end
return redis.call('DEL', KEYS[1])`;

/**
 * A queue in Redis that all processes with the same location share. Its jobs survive the death of any process. During
 * an outage of Redis, `add`, `counts` and `check` reject within four seconds. Workers continue when Redis works again.
 *
 * A job runs at least once. It runs again in these cases:
 *
 * - Its worker died or was suspended for longer than `lockMs`.
 * - Its worker could not record in Redis that the job was done.
 * - `add` had to store the job twice, because Redis did not reply in time.
 *
 * An `add` that rejects may still have stored its job. `close` leaves the waiting jobs to other processes or to the
 * next start.
 */
export class BullQueue implements Queue {
  readonly #options: BullQueueOptions;
  readonly #redis: RedisConnection;
  readonly #bull: Bull.Queue<StoredJob>;
  readonly #closing = new AbortController();
  readonly #limitAdds = pLimit(MAX_CONCURRENT_ADDS);
  /** The time of the last successful `add`, as a value of performance.now(). */
  #lastAddedMs = 0;
  /**
   * The last `add` that failed while no other `add` succeeded; undefined after a success. `seenMs` is a value of
   * performance.now().
   */
  #outage: { readonly seenMs: number; readonly error: unknown } | undefined;
  #worker: BullWorker | undefined;

  constructor(options: BullQueueOptions) {
    this.#options = options;
    this.#redis = new RedisConnection(options.redisLocation, options.log);
    this.#bull = openBull('publish', options, () => this.#redis);
    // Each operation that waits for its next attempt adds a listener, and Node would warn from the eleventh listener
    // on.
    setMaxListeners(0, this.#closing.signal);
  }

  async add(job: TagJob, delivery?: string): Promise<AddResult> {
    const stored: StoredJob = { ...job, failures: 0, nonce: randomUUID() };
    const deliveryKey = delivery && this.#redis.key(`delivery:${encodeURIComponent(delivery.toWellFormed())}`);
    return await this.#whenFree(async (abandoned) => {
      if (deliveryKey && (await this.#redis.exists(deliveryKey)) === 1) return 'folded';
      const added = await this.#store(idOf(job), stored, abandoned);
      abandoned.throwIfAborted();
      if (deliveryKey) await this.#redis.set(deliveryKey, '1', 'PX', DELIVERY_MEMORY_MS);
      return added;
    });
  }

  process(concurrency: number, handler: Handler): void {
    if (this.#worker !== undefined) throw new Error('process() may be called only once');
    this.#worker = new BullWorker(this.#options, handler);
    void this.#worker.start(concurrency);
  }

  async counts(): Promise<QueueCounts> {
    const { waiting, active, delayed } = await this.#withRetry(() => this.#bull.getJobCounts());
    return { waiting, active, delayed };
  }

  async check(): Promise<void> {
    await this.#withRetry(
      () => checkRedis(this.#redis, this.#bull),
      // Another attempt would have the same result until an operator acts.
      (error) => this.#redis.reasonFor(error) instanceof WrongRedisSettings,
    );
    this.#worker?.assertStarted();
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the queue is closed'));
    await this.#worker?.close();
    this.#redis.close();
  }

  async #store(id: string, job: StoredJob, abandoned: AbortSignal): Promise<AddResult> {
    let candidate = job;
    let added: AddResult = 'queued';
    for (;;) {
      abandoned.throwIfAborted();
      const place = await joinLine(this.#redis, lineOf(job.projectId), id, this.#bull.toKey(''));
      await this.#bull.add(candidate, jobOptions(id, bullPriority(candidate.priority, place)));
      const data = await this.#redis.eval(READ_SCRIPT, 1, this.#bull.toKey(id));
      // 0: the job is already done. 1: Bull found a hash without data under this id and did not add the job (see
      // `discard`).
      if (data === 0) return added;
      if (data === 1) continue;
      const existing = storedJobSchema.parse(JSON.parse(String(data)));
      if (existing.nonce === job.nonce) return added;
      added = 'folded';
      // A listed tag that has now been pushed runs before the other listed tags.
      if (job.priority === 'listed' || existing.priority === 'pushed' || !(await this.#takeBack(id))) return added;
      candidate = { ...existing, priority: 'pushed', failures: 0, nonce: job.nonce };
    }
  }

  /**
   * Removes a waiting job. Returns false if the job exists but is not waiting. If this process dies after the removal,
   * the next sweep queues the tag again.
   */
  async #takeBack(id: string): Promise<boolean> {
    const job = await this.#bull.getJob(id);
    if (!job) return true;
    if (!(await job.isWaiting())) return false;
    await job.remove();
    return true;
  }

  /** Calls `#withRetry` as soon as fewer than MAX_CONCURRENT_ADDS other calls run. */
  async #whenFree<T>(attempt: (abandoned: AbortSignal) => Promise<T>): Promise<T> {
    const arrivedMs = performance.now();
    return await this.#limitAdds(async () => {
      // During an outage, the waiting calls fail together with the running calls, instead of four seconds later.
      if (this.#outage && this.#outage.seenMs > arrivedMs) throw this.#outage.error;
      const startedMs = performance.now();
      try {
        const result = await this.#withRetry(attempt);
        this.#lastAddedMs = performance.now();
        this.#outage = undefined;
        return result;
      } catch (error) {
        if (this.#lastAddedMs < startedMs) this.#outage = { seenMs: performance.now(), error };
        throw error;
      }
    });
  }

  /**
   * Repeats an attempt until it succeeds, for at most four seconds, or until an error is final. An attempt must be safe
   * to repeat. The signal aborts when the time is over, so that a running attempt takes no further step.
   */
  async #withRetry<T>(
    attempt: (abandoned: AbortSignal) => Promise<T>,
    isFinal: (error: unknown) => boolean = () => false,
  ): Promise<T> {
    const { signal } = this.#closing;
    signal.throwIfAborted();
    const deadline = new DeadlinePolicy(REDIS_TIMEOUT_MS, RETRY_INTERVAL_MS);
    const policy = { waitAfter: (error: unknown) => (isFinal(error) ? undefined : deadline.waitAfter()) };
    const abandon = new AbortController();
    try {
      return await retry(() => withTimeout(deadline.remainingMs, attempt(abandon.signal)), policy, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw this.#unusable(error);
    } finally {
      abandon.abort();
    }
  }

  #unusable(error: unknown): Error {
    return new Error('the queue in Redis cannot be used', { cause: this.#redis.reasonFor(error) });
  }
}
