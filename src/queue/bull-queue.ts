import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type Bull from 'bull';
import type { Redis } from 'ioredis';
import { jobOptions, openBull, prefixOf } from '../redis/bull.ts';
import { storedJobSchema, type BullQueueOptions, type StoredJob } from './bull-job.ts';
import { BullWorker } from './bull-worker.ts';
import type { Added, Handler, Queue, QueueCounts } from './queue.ts';
import { idOf, type TagJob } from './tag-job.ts';
import { connectRedis, endRedis, watchHeartbeat } from '../redis/connection.ts';
import { withTimeout } from '../async/with-timeout.ts';

/** How long a delivery counts as seen, in milliseconds. */
const DELIVERY_MEMORY_MS = 3_600_000;
/** How long one asks Redis before giving up, in milliseconds: GitLab waits ten seconds for the webhook's answer. */
const patienceMs = 4_000;

/** Answers a job's data; without any, 1 if what was left of it had to be removed, 0 if nothing was there. */
const readScript = `
local data = redis.call('HGET', KEYS[1], 'data')
if data then return data end
return redis.call('DEL', KEYS[1])`;

/**
 * The queue on Redis, shared by all processes that give it the same prefix. It is safe from the death of any of
 * them. When Redis goes away, `add`, `counts` and `check` reject within four seconds, and workers go on as soon
 * as it is back.
 *
 * A job runs at least once: again if its worker died, stood still for longer than `lockMs`, or could not tell
 * Redis that it was done. `close` leaves what waits for the other processes, or for the next start.
 */
export class BullQueue implements Queue {
  readonly #options: BullQueueOptions;
  readonly #redis: Redis;
  readonly #bull: Bull.Queue<StoredJob>;
  readonly #closing = new AbortController();
  #worker: BullWorker | undefined;

  constructor(options: BullQueueOptions) {
    this.#options = options;
    this.#redis = connectRedis(options.redisUrl, options.log);
    watchHeartbeat(this.#redis);
    this.#bull = openBull('publish', options, () => this.#redis);
  }

  async add(job: TagJob, delivery?: string): Promise<Added> {
    const stored: StoredJob = { ...job, failures: 0, nonce: randomUUID() };
    const deliveryKey =
      delivery && `${prefixOf(this.#options)}:delivery:${encodeURIComponent(delivery.toWellFormed())}`;
    // Every step can be made twice, so an attempt that broke off is simply made again.
    return this.#ask(async () => {
      if (deliveryKey && (await this.#redis.exists(deliveryKey)) === 1) return 'folded';
      const added = await this.#store(idOf(job), stored);
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
    const { waiting, active, delayed } = await this.#ask(() => this.#bull.getJobCounts());
    return { waiting, active, delayed };
  }

  async check(): Promise<void> {
    // A write, because a full Redis and a replica answer a PING all the same.
    await this.#ask(() => this.#redis.set(`${prefixOf(this.#options)}:check`, '1', 'PX', 1_000));
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the queue is closed'));
    await this.#worker?.close();
    endRedis(this.#redis);
  }

  async #store(id: string, job: StoredJob): Promise<Added> {
    const priority = job.priority === 'pushed' ? 1 : 2;
    let stored = job;
    let added: Added = 'queued';
    for (;;) {
      await this.#bull.add(stored, jobOptions(id, priority));
      const data = await this.#redis.eval(readScript, 1, this.#bull.toKey(id));
      // Without data it is done already, or it fell on the remains of an earlier job of that id: see BullWorker.
      if (data === 0) return added;
      if (data === 1) continue;
      const found = storedJobSchema.parse(JSON.parse(String(data)));
      if (found.nonce === job.nonce) return added;
      added = 'folded';
      // Pushed after it was listed: it comes before the others that were.
      if (job.priority === 'listed' || found.priority === 'pushed' || !(await this.#takeBack(id))) return added;
      stored = { ...found, priority: 'pushed', failures: 0, nonce: job.nonce };
    }
  }

  /** Takes a job out of the queue, unless it runs. Should this process die now, the next sweep finds it missing. */
  async #takeBack(id: string): Promise<boolean> {
    const job = await this.#bull.getJob(id);
    if (!job) return true;
    if (!(await job.isWaiting())) return false;
    await job.remove();
    return true;
  }

  async #ask<T>(attempt: () => Promise<T>): Promise<T> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      this.#closing.signal.throwIfAborted();
      try {
        return await withTimeout(deadline - Date.now(), attempt());
      } catch (error) {
        if (Date.now() + 200 >= deadline) throw new Error('the queue in Redis cannot be used', { cause: error });
      }
      await sleep(200);
    }
  }
}
