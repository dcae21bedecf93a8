import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { discard, lockMsOf } from '../redis/bull.ts';
import { BullConsumer } from '../redis/bull-consumer.ts';
import type { RedisConnection } from '../redis/connection.ts';
import {
  answerKey,
  changeKey,
  leaseKey,
  requestJobSchema,
  type BullRequestsOptions,
  type RequestJob,
} from './bull-request-job.ts';
import { leaveRequestLine } from './request-line.ts';
import { CHANGED_SCRIPT, FINISH_SCRIPT, HOLD_SCRIPT } from './request-scripts.ts';
import type { RequestHandler } from './requests.ts';
import type { StoredAnswer } from './stored-answer.ts';

/** The minimum time that an answer stays in Redis, in milliseconds, so that waiting clients find it. */
const MIN_STAY_MS = 3_000;

/** Handles the requests of the Bull queue. */
export class BullRequestWorker<R extends object, A extends object> {
  readonly #options: BullRequestsOptions<R, A>;
  readonly #handler: RequestHandler<R, A>;
  readonly #consumer: BullConsumer<RequestJob>;

  constructor(options: BullRequestsOptions<R, A>, handler: RequestHandler<R, A>) {
    this.#options = options;
    this.#handler = handler;
    this.#consumer = new BullConsumer<RequestJob>('requests', options, async (job, redis) => {
      const parsed = requestJobSchema.safeParse(job.data);
      if (!parsed.success) await discard(job, redis, options.log, 1_000);
      else await this.#consumer.track(this.#workAndLeave(parsed.data, String(job.id), redis));
    });
  }

  /** Handles requests until `close`, at most `concurrency` at a time. Waits for Redis first. */
  start(concurrency: number): Promise<void> {
    return this.#consumer.start(concurrency);
  }

  /** Throws the reason if the last start failed. */
  assertStarted(): void {
    this.#consumer.assertStarted();
  }

  /** Takes no more requests, waits for the running handlers, and closes the connections. */
  close(): Promise<void> {
    return this.#consumer.close();
  }

  async #workAndLeave(job: RequestJob, jobId: string, redis: RedisConnection): Promise<void> {
    await this.#work(job, redis);
    await leaveRequestLine(redis, job, jobId);
  }

  /**
   * Handles a request. Never rejects, because a retry by Bull would be useless: a client that still waits puts the
   * request into the queue again.
   */
  async #work({ id, job, request }: RequestJob, redis: RedisConnection): Promise<void> {
    const { log } = this.#options;
    // The holder is unique for each attempt. If a worker seems dead, Bull passes its job to another worker, although
    // the first worker may still be running.
    const holder = randomUUID();
    try {
      // After an outage, the queue may contain requests that were put into it twice, or for which no client waits any
      // more.
      if (!(await this.#hold(redis, id, `waiting:${job}`, holder, ''))) return;
      // Read before the handler starts: a change while it runs may be missing in its answer.
      const changedAt = await this.#changedAt(redis, request);
      const renewing = setInterval(() => void this.#renew(redis, id, holder), lockMsOf(this.#options) / 3);
      const result = await this.#handle(request, changedAt).finally(() => clearInterval(renewing));
      const stayMs = Math.max(MIN_STAY_MS, result.keepMs);
      const stored: StoredAnswer<A> = { job, ...result, stayMs, changedAt };
      const isStored = await redis.eval(
        FINISH_SCRIPT,
        2,
        answerKey(redis, id),
        leaseKey(redis, id),
        holder,
        JSON.stringify(stored),
        stayMs,
      );
      if (isStored === 0)
        log.warn(
          { event: 'on-demand.late', request },
          'an answer came too late; another worker now handles the request',
        );
    } catch (error) {
      log.warn({ event: 'on-demand.redis-failed', request, err: error }, 'Redis failed while a request was handled');
    }
  }

  /**
   * Calls the handler. Resolves to its answer and how long the answer is valid for later requests, in milliseconds.
   * Resolves without an answer if the handler failed.
   */
  async #handle(request: unknown, changedAt: number): Promise<{ readonly keepMs: number; readonly answer?: A }> {
    try {
      const answer = await this.#handler(this.#options.requestSchema.parse(request), changedAt);
      return { answer, keepMs: Math.ceil(this.#options.keepMs(answer)) };
    } catch (error) {
      this.#options.log.error(
        { event: 'on-demand.failed', request, err: error },
        'the handler of a request failed unexpectedly',
      );
      return { keepMs: 0 };
    }
  }

  async #changedAt(redis: RedisConnection, request: unknown): Promise<number> {
    const parsed = this.#options.requestSchema.safeParse(request);
    if (!parsed.success) return 0;
    const keys = this.#options.subjectsOf(parsed.data).map((subject) => changeKey(redis, subject));
    return z.coerce.number().parse(await redis.eval(CHANGED_SCRIPT, keys.length, ...keys));
  }

  async #renew(redis: RedisConnection, id: string, holder: string): Promise<void> {
    try {
      // If Redis has lost the lease, this takes it again, so that no other worker starts.
      await this.#hold(redis, id, holder, holder, holder);
    } catch (error) {
      this.#options.log.warn(
        { event: 'lease.renew-failed', err: error },
        'the lease of a request could not be renewed; trying again',
      );
    }
  }

  async #hold(redis: RedisConnection, id: string, from: string, to: string, assumed: string): Promise<boolean> {
    return (await redis.eval(HOLD_SCRIPT, 1, leaseKey(redis, id), from, to, lockMsOf(this.#options), assumed)) === 1;
  }
}
