import type Bull from 'bull';
import { RunAgain, discard, lockMsOf } from '../redis/bull.ts';
import { lineOf, storedJobSchema, type BullQueueOptions, type StoredJob } from './bull-job.ts';
import { BullConsumer } from '../redis/bull-consumer.ts';
import type { RedisConnection } from '../redis/connection.ts';
import { subjectOf } from './tag-job.ts';
import type { Handler } from './queue.ts';
import { handleFailures, type AfterFailure } from './job-failure.ts';
import { ProjectSlots } from './project-slots.ts';
import { leaveLine } from '../redis/line.ts';
import { takeLease } from '../redis/lease.ts';

/**
 * How long a job is delayed if another job of its tag runs, and how long it waits for a slot of its project, in
 * milliseconds.
 */
const BUSY_MS = 1_000;

/** Runs the tag jobs of the Bull queue. */
export class BullWorker {
  readonly #options: BullQueueOptions;
  readonly #handler: Handler;
  readonly #afterFailure: AfterFailure;
  readonly #consumer: BullConsumer<StoredJob>;
  readonly #slots = new ProjectSlots();
  #concurrency = 1;

  constructor(options: BullQueueOptions, handler: Handler) {
    this.#options = options;
    this.#handler = handler;
    this.#afterFailure = handleFailures(options);
    this.#consumer = new BullConsumer('publish', options, (job, redis) => this.#run(job, redis));
  }

  /** Runs jobs until `close`, at most `concurrency` at a time. Waits for Redis first. */
  start(concurrency: number): Promise<void> {
    this.#concurrency = concurrency;
    return this.#consumer.start(concurrency);
  }

  /** Throws the reason if the last start failed. */
  assertStarted(): void {
    this.#consumer.assertStarted();
  }

  /** Takes no more jobs, waits for the running jobs, and closes the connections. */
  close(): Promise<void> {
    return this.#consumer.close();
  }

  async #run(job: Bull.Job<StoredJob>, redis: RedisConnection): Promise<void> {
    const stored = storedJobSchema.safeParse(job.data);
    if (!stored.success) return discard(job, redis, this.#options.log, BUSY_MS);

    const { projectId } = stored.data;
    if (!(await this.#slots.takeWhenFree(projectId, this.#concurrency, BUSY_MS))) throw new RunAgain(BUSY_MS);
    try {
      await this.#runInSlot(job, stored.data, redis);
    } finally {
      this.#slots.free(projectId);
    }
    await leaveLine(redis, lineOf(projectId), String(job.id));
  }

  async #runInSlot(job: Bull.Job<StoredJob>, data: StoredJob, redis: RedisConnection): Promise<void> {
    const { failures, nonce, ...tagJob } = data;
    const key = redis.key(`running:${subjectOf(tagJob)}`);
    const lockMs = lockMsOf(this.#options);
    // Each renewal also extends Bull's own lock. Bull renews this lock too, but stops after one failure (lib/queue.js,
    // lockExtender).
    const lease = await takeLease(redis, key, lockMs, this.#options.log, () => job.extendLock(lockMs));
    if (lease === undefined) throw new RunAgain(BUSY_MS);
    try {
      if (this.#consumer.closing.aborted) throw new RunAgain(1);
      await this.#consumer.track(this.#handler(tagJob));
    } catch (error) {
      if (error instanceof RunAgain) throw error;
      const delayMs = this.#afterFailure(tagJob, error, failures + 1);
      // Bull's own number of attempts is not used, because it includes attempts that ended because the tag was busy.
      await job.update({ ...tagJob, nonce, failures: failures + 1 });
      throw new RunAgain(delayMs);
    } finally {
      await lease.release();
    }
  }
}
