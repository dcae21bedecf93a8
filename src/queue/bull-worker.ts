import type Bull from 'bull';
import type { Redis } from 'ioredis';
import { Again, type BullQueueOptions, lockMsOf, prefixOf, type StoredJob, storedJob } from './bull.ts';
import { BullConsumer } from './bull-consumer.ts';
import { subjectOf } from './job-id.ts';
import type { Handler } from './queue.ts';
import { failureRule } from './retry.ts';
import { takeLock } from './tag-lock.ts';

/** How long a job waits whose tag is being worked on, in milliseconds. */
const busyMs = 1_000;

/** Takes a job away that has no data, unless it has got some in the meantime. */
const discardScript = `
redis.call('LREM', KEYS[2], 1, ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
if redis.call('HEXISTS', KEYS[1], 'data') == 0 then redis.call('DEL', KEYS[1]) end
return 0`;

/** The half of the Bull queue that runs jobs. */
export class BullWorker {
  readonly #options: BullQueueOptions;
  readonly #handler: Handler;
  readonly #failed: ReturnType<typeof failureRule>;
  readonly #running = new Set<Promise<void>>();
  readonly #consumer: BullConsumer<StoredJob>;

  constructor(options: BullQueueOptions, handler: Handler) {
    this.#options = options;
    this.#handler = handler;
    this.#failed = failureRule(options);
    this.#consumer = new BullConsumer('publish', options, (job, redis) => this.#run(job, redis));
  }

  /** Runs jobs until `close`, as soon as Redis is there, at most `concurrency` at a time. */
  start(concurrency: number): Promise<void> {
    return this.#consumer.start(concurrency);
  }

  /** Takes no more jobs, waits for those that run, and ends the connections. */
  close(): Promise<void> {
    return this.#consumer.close(this.#running);
  }

  async #run(job: Bull.Job<StoredJob>, redis: Redis): Promise<void> {
    const stored = storedJob.safeParse(job.data);
    if (!stored.success) return this.#discard(job, redis);

    const { failures, nonce, ...tagJob } = stored.data;
    const key = `${prefixOf(this.#options)}:running:${subjectOf(tagJob)}`;
    const lockMs = lockMsOf(this.#options);
    // Bull renews its own lock as well, but never again once that has failed (lib/queue.js, lockExtender).
    const lock = await takeLock(redis, key, lockMs, this.#options.log, () => job.extendLock(lockMs));
    if (lock === undefined) throw new Again(busyMs);
    try {
      if (this.#consumer.closing.aborted) throw new Again(1);
      await this.#track(this.#handler(tagJob));
    } catch (error) {
      if (error instanceof Again) throw error;
      const delayMs = this.#failed(tagJob, error, failures + 1);
      // Bull's own count also includes the times the tag was busy.
      await job.update({ ...tagJob, nonce, failures: failures + 1 });
      throw new Again(delayMs);
    } finally {
      await lock.release();
    }
  }

  /**
   * Bull can hand out an id whose job is gone, and in doing so leaves a job without data, into which all later
   * ones of that id would fold (bull 4.16 lib/commands: moveToActive and others write to the hash unasked).
   */
  async #discard(job: Bull.Job<StoredJob>, redis: Redis): Promise<void> {
    const { queue } = job;
    const id = String(job.id);
    this.#options.log.warn({ id }, 'a job without data is discarded');
    await redis.eval(discardScript, 3, queue.toKey(id), queue.toKey('active'), queue.toKey('stalled'), id);
    throw new Again(busyMs);
  }

  #track(run: Promise<void>): Promise<void> {
    this.#running.add(run);
    return run.finally(() => this.#running.delete(run));
  }
}
