import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import { sleep } from '../async/sleep.ts';
import { connectRedis, endRedis } from '../redis/connection.ts';
import { takeLease, type Lease } from '../redis/lease.ts';
import { failedProgress, isOver, type BackfillProgress } from './backfill-progress.ts';
import type { BackfillRequest } from './backfill-request.ts';
import {
  backfillRunSchema,
  isSameRequest,
  RETENTION_MS,
  newRun,
  MAX_CONCURRENT_RUNS,
  type BackfillRun,
  type BackfillRuns,
  type BackfillWork,
} from './runs.ts';

/** How runs are stored in Redis. */
export interface RedisRunsOptions {
  readonly redisUrl: string;
  readonly log: Logger;
  /** The first part of all keys. Default: `modpress`. */
  readonly prefix?: string;
  /** After this many milliseconds without a sign of life from its process, another process takes over a run. Default: 10,000. */
  readonly leaseMs?: number;
}

/** How often a process searches for runs without a worker, and stores the progress of its own runs. */
const POLL_MS = 1_000;

/**
 * Backfill runs shared by all processes on one Redis. Each run is a JSON text under a key of its own. A set has the ids of
 * the runs that have not ended. The process that holds the lease of a run works on it. If Redis is emptied, the process
 * stores its run again.
 */
export class RedisRuns implements BackfillRuns {
  readonly #redis: Redis;
  readonly #log: Logger;
  readonly #prefix: string;
  readonly #leaseMs: number;
  readonly #closing = new AbortController();
  readonly #running = new Map<string, Promise<void>>();
  #polling: Promise<void> = Promise.resolve();

  constructor({ redisUrl, log, prefix = 'modpress', leaseMs = 10_000 }: RedisRunsOptions) {
    this.#redis = connectRedis(redisUrl, log);
    this.#log = log;
    this.#prefix = prefix;
    this.#leaseMs = leaseMs;
  }

  async start(request: BackfillRequest): Promise<BackfillRun> {
    for (const id of await this.#redis.smembers(this.#openRunsKey)) {
      const run = await this.find(id);
      if (run && !isOver(run.progress) && isSameRequest(run.request, request)) return run;
    }
    const run = newRun(request);
    await this.#store(run);
    return run;
  }

  async find(id: string): Promise<BackfillRun | undefined> {
    const text = await this.#redis.get(this.#runKey(id));
    return text === null ? undefined : backfillRunSchema.parse(JSON.parse(text));
  }

  process(work: BackfillWork): void {
    this.#polling = this.#pollForRuns(work);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#polling;
    await Promise.all(this.#running.values());
    endRedis(this.#redis);
  }

  get #openRunsKey(): string {
    return `${this.#prefix}:backfills`;
  }

  #runKey(id: string): string {
    return `${this.#prefix}:backfill:${id}`;
  }

  async #store(run: BackfillRun): Promise<void> {
    const hasEnded = isOver(run.progress);
    const change = this.#redis.multi().set(this.#runKey(run.id), JSON.stringify(run), 'PX', RETENTION_MS);
    await (hasEnded ? change.srem(this.#openRunsKey, run.id) : change.sadd(this.#openRunsKey, run.id)).exec();
  }

  /** Takes over runs on which no process works, until `close`. */
  async #pollForRuns(work: BackfillWork): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        for (const id of await this.#redis.smembers(this.#openRunsKey)) {
          if (this.#running.size < MAX_CONCURRENT_RUNS && !this.#running.has(id)) await this.#takeOver(id, work);
        }
      } catch (error) {
        this.#log.debug(
          { event: 'backfill.poll-failed', reason: messageOf(error) },
          'could not read the runs from Redis',
        );
      }
      await sleep(POLL_MS, signal);
    }
  }

  async #takeOver(id: string, work: BackfillWork): Promise<void> {
    const lease = await takeLease(this.#redis, `${this.#prefix}:backfill-worker:${id}`, this.#leaseMs, this.#log);
    if (!lease) return;
    let run: BackfillRun | undefined;
    try {
      run = await this.find(id);
    } catch (error) {
      // Redis cannot be reached, or a newer version of modpress wrote the run. Leave it, and go on with the other runs.
      this.#log.debug({ event: 'backfill.unreadable', backfill: id, reason: messageOf(error) }, 'could not read a run');
      await lease.release();
      return;
    }
    if (!run || isOver(run.progress)) {
      try {
        await this.#redis.srem(this.#openRunsKey, id);
      } finally {
        await lease.release();
      }
      return;
    }
    const running = this.#run(run, work, lease).finally(() => this.#running.delete(id));
    this.#running.set(id, running);
  }

  async #run(run: BackfillRun, work: BackfillWork, lease: Lease): Promise<void> {
    const { signal } = this.#closing;
    let progress: BackfillProgress = run.progress;
    // The progress is not stored after each tag, which would be too often. It is stored even if it has not changed, in
    // case Redis was emptied.
    const timer = setInterval(() => void this.#storeProgress({ ...run, progress }), POLL_MS);
    try {
      progress = await work(run.request, (current) => void (progress = current), signal);
    } catch (error) {
      if (!signal.aborted) progress = failedProgress(error, progress);
    } finally {
      clearInterval(timer);
      await this.#storeProgress({ ...run, progress });
      await lease
        .release()
        .catch((error: unknown) =>
          this.#log.warn(
            { event: 'backfill.release-failed', backfill: run.id, err: error },
            'could not release the lease of a backfill; the lease will expire',
          ),
        );
    }
  }

  async #storeProgress(run: BackfillRun): Promise<void> {
    try {
      await this.#store(run);
    } catch (error) {
      this.#log.warn(
        { event: 'backfill.store-failed', backfill: run.id, reason: messageOf(error) },
        'could not store the progress of a backfill',
      );
    }
  }
}
