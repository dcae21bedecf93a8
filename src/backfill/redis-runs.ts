import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import { sleep } from '../async/sleep.ts';
import { RedisConnection } from '../redis/connection.ts';
import { takeLease, type Lease } from '../redis/lease.ts';
import type { RedisLocation } from '../redis/location.ts';
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

/** The options of `RedisRuns`. */
export interface RedisRunsOptions {
  readonly redisLocation: RedisLocation;
  readonly log: Logger;
  /**
   * The duration of a lease in milliseconds. If a process dies, another one takes over its run after this time.
   * Default: 10,000.
   */
  readonly leaseMs?: number;
}

/** How often a process looks for runs that no process works on, and stores the progress of its own runs. */
const POLL_MS = 1_000;

/**
 * Keeps backfill runs in Redis, where all processes share them. Each run is stored as JSON under its own key. A set
 * contains the ids of the runs that have not ended. The process that holds the lease of a run works on it. If Redis
 * loses the run, this process stores it again.
 */
export class RedisRuns implements BackfillRuns {
  readonly #redis: RedisConnection;
  readonly #log: Logger;
  readonly #leaseMs: number;
  readonly #closing = new AbortController();
  readonly #running = new Map<string, Promise<void>>();
  #polling: Promise<void> = Promise.resolve();

  constructor({ redisLocation, log, leaseMs = 10_000 }: RedisRunsOptions) {
    this.#redis = new RedisConnection(redisLocation, log);
    this.#log = log;
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
    this.#redis.close();
  }

  get #openRunsKey(): string {
    return this.#redis.key('backfills');
  }

  #runKey(id: string): string {
    return this.#redis.key(`backfill:${id}`);
  }

  async #store(run: BackfillRun): Promise<void> {
    const hasEnded = isOver(run.progress);
    const change = this.#redis.multi().set(this.#runKey(run.id), JSON.stringify(run), 'PX', RETENTION_MS);
    await (hasEnded ? change.srem(this.#openRunsKey, run.id) : change.sadd(this.#openRunsKey, run.id)).exec();
  }

  /** Takes over runs that no process works on, until `close` is called. */
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
          'could not read the backfills from Redis',
        );
      }
      await sleep(POLL_MS, signal);
    }
  }

  async #takeOver(id: string, work: BackfillWork): Promise<void> {
    const lease = await takeLease(this.#redis, this.#redis.key(`backfill-worker:${id}`), this.#leaseMs, this.#log);
    if (!lease) return;
    let run: BackfillRun | undefined;
    try {
      run = await this.find(id);
    } catch (error) {
      // Either Redis cannot be reached, or a newer version of modpress wrote the run. The other runs are still
      // processed.
      this.#log.debug(
        { event: 'backfill.unreadable', backfill: id, reason: messageOf(error) },
        'could not read a backfill from Redis',
      );
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
    // Storing the progress after each tag would be too often. The timer stores it even if it has not changed, in case
    // Redis lost its data.
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
