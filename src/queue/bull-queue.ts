import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type Bull from 'bull';
import type { Redis } from 'ioredis';
import pLimit from 'p-limit';
import { DeadlinePolicy } from '../async/deadline-policy.ts';
import { retry } from '../async/retry.ts';
import { withTimeout } from '../async/with-timeout.ts';
import { jobOptions, openBull, prefixOf } from '../redis/bull.ts';
import { connectRedis, endRedis } from '../redis/connection.ts';
import { storedJobSchema, type BullQueueOptions, type StoredJob } from './bull-job.ts';
import { BullWorker } from './bull-worker.ts';
import type { AddResult, Handler, Queue, QueueCounts } from './queue.ts';
import { idOf, type TagJob } from './tag-job.ts';

/** How long the queue remembers a delivery. */
const DELIVERY_MEMORY_MS = 3_600_000;
/** An operation fails after this time. GitLab waits ten seconds for the response to a webhook. */
const REDIS_TIMEOUT_MS = 4_000;
/** The wait between two attempts of an operation. */
const RETRY_INTERVAL_MS = 200;
/**
 * The maximum number of jobs that are stored at a time. Further jobs wait, and this wait has no time-out: if thousands were
 * stored at once, Redis could not reply to each of them within REDIS_TIMEOUT_MS.
 */
const MAX_CONCURRENT_ADDS = 100;

/** Returns the data of a job. If the job has no data, deletes its hash and returns 1; returns 0 if there is no hash. */
const READ_SCRIPT = `
local data = redis.call('HGET', KEYS[1], 'data')
if data then return data end
return redis.call('DEL', KEYS[1])`;

/**
 * The queue on Redis, shared by all processes with the same prefix. Its jobs survive the death of any process. In an outage
 * of Redis, `add`, `counts` and `check` reject within four seconds; workers continue when Redis works again.
 *
 * A job runs at least once. It runs again if its worker died, was suspended for longer than `lockMs`, or could not record
 * in Redis that the job was done; and if `add` had to store it twice, because Redis did not reply in time. An `add` that
 * rejects may have stored its job all the same. `close` leaves the waiting jobs to the other processes, or to the next
 * start.
 */
export class BullQueue implements Queue {
  readonly #options: BullQueueOptions;
  readonly #redis: Redis;
  readonly #bull: Bull.Queue<StoredJob>;
  readonly #closing = new AbortController();
  readonly #limitAdds = pLimit(MAX_CONCURRENT_ADDS);
  /** When the last `add` succeeded, as performance.now(). */
  #lastAddedMs = 0;
  /** The last `add` that failed while no other `add` succeeded, as performance.now(); undefined after a success. */
  #outage: { readonly seenMs: number; readonly error: unknown } | undefined;
  #worker: BullWorker | undefined;

  constructor(options: BullQueueOptions) {
    this.#options = options;
    this.#redis = connectRedis(options.redisUrl, options.log);
    this.#bull = openBull('publish', options, () => this.#redis);
    // Every operation that waits for its next attempt adds a listener.
    setMaxListeners(0, this.#closing.signal);
  }

  async add(job: TagJob, delivery?: string): Promise<AddResult> {
    const stored: StoredJob = { ...job, failures: 0, nonce: randomUUID() };
    const deliveryKey =
      delivery && `${prefixOf(this.#options)}:delivery:${encodeURIComponent(delivery.toWellFormed())}`;
    return await this.#whenFree(async (abandoned) => {
      if (deliveryKey && (await this.#redis.exists(deliveryKey)) === 1) return 'folded';
      const added = await this.#store(idOf(job), stored, abandoned);
      abandoned.throwIfAborted();
      if (deliveryKey) await this.#redis.set(deliveryKey, '1', 'PX', DELIVERY_MEMORY_MS);
      return added;
    });
  }

  process(concurrency: number, handler: Handler): void {
    if (this.#worker !== undefined) throw new Error('process() is called once');
    this.#worker = new BullWorker(this.#options, handler);
    void this.#worker.start(concurrency);
  }

  async counts(): Promise<QueueCounts> {
    const { waiting, active, delayed } = await this.#withRetry(() => this.#bull.getJobCounts());
    return { waiting, active, delayed };
  }

  async check(): Promise<void> {
    // A write, because a full Redis and a replica reply to a PING all the same.
    await this.#withRetry(() => this.#redis.set(`${prefixOf(this.#options)}:check`, '1', 'PX', 1_000));
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the queue is closed'));
    await this.#worker?.close();
    endRedis(this.#redis);
  }

  async #store(id: string, job: StoredJob, abandoned: AbortSignal): Promise<AddResult> {
    const priority = job.priority === 'pushed' ? 1 : 2;
    let candidate = job;
    let added: AddResult = 'queued';
    for (;;) {
      abandoned.throwIfAborted();
      await this.#bull.add(candidate, jobOptions(id, priority));
      const data = await this.#redis.eval(READ_SCRIPT, 1, this.#bull.toKey(id));
      // 0: the job is done already. 1: Bull found a hash without data under this id and added nothing (see `discard`).
      if (data === 0) return added;
      if (data === 1) continue;
      const existing = storedJobSchema.parse(JSON.parse(String(data)));
      if (existing.nonce === job.nonce) return added;
      added = 'folded';
      // A listed tag that is pushed now runs before the other listed ones.
      if (job.priority === 'listed' || existing.priority === 'pushed' || !(await this.#takeBack(id))) return added;
      candidate = { ...existing, priority: 'pushed', failures: 0, nonce: job.nonce };
    }
  }

  /**
   * Removes a waiting job; returns false if it is not waiting. If this process dies afterwards, the next sweep queues the
   * tag again.
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
      // During an outage the waiting calls fail together with the calls before them, instead of four seconds later.
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
   * Repeats an attempt until it succeeds, for four seconds at most. An attempt must be safe to repeat. Its signal aborts
   * when the time is over, so that an attempt that still runs takes no further step.
   */
  async #withRetry<T>(attempt: (abandoned: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#closing;
    signal.throwIfAborted();
    const policy = new DeadlinePolicy(REDIS_TIMEOUT_MS, RETRY_INTERVAL_MS);
    const abandon = new AbortController();
    try {
      return await retry(() => withTimeout(policy.remainingMs, attempt(abandon.signal)), policy, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw new Error('the queue in Redis cannot be used', { cause: error });
    } finally {
      abandon.abort();
    }
  }
}
