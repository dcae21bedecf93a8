import type Bull from 'bull';
import type { Redis } from 'ioredis';
import { RunAgain, discard, lockMsOf, prefixOf } from '../redis/bull.ts';
import { storedJobSchema, type BullQueueOptions, type StoredJob } from './bull-job.ts';
import { BullConsumer } from '../redis/bull-consumer.ts';
import { subjectOf } from './tag-job.ts';
import type { Handler } from './queue.ts';
import { failureRule } from './job-failure.ts';
import { takeLease } from '../redis/lease.ts';

/** How long a job waits whose tag is being worked on, in milliseconds. */
const BUSY_MS = 1_000;

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
    const stored = storedJobSchema.safeParse(job.data);
    if (!stored.success) return discard(job, redis, this.#options.log, BUSY_MS);

    const { failures, nonce, ...tagJob } = stored.data;
    const key = `${prefixOf(this.#options)}:running:${subjectOf(tagJob)}`;
    const lockMs = lockMsOf(this.#options);
    // Bull renews its own lock as well, but never again once that has failed (lib/queue.js, lockExtender).
    const lock = await takeLease(redis, key, lockMs, this.#options.log, () => job.extendLock(lockMs));
    if (lock === undefined) throw new RunAgain(BUSY_MS);
    try {
      if (this.#consumer.closing.aborted) throw new RunAgain(1);
      await this.#track(this.#handler(tagJob));
    } catch (error) {
      if (error instanceof RunAgain) throw error;
      const delayMs = this.#failed(tagJob, error, failures + 1);
      // Bull's own count also includes the times the tag was busy.
      await job.update({ ...tagJob, nonce, failures: failures + 1 });
      throw new RunAgain(delayMs);
    } finally {
      await lock.release();
    }
  }

  #track(run: Promise<void>): Promise<void> {
    this.#running.add(run);
    return run.finally(() => this.#running.delete(run));
  }
}
