import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import { sleep } from '../async/sleep.ts';
import { connectRedis, endRedis, watchHeartbeat } from '../redis/connection.ts';
import { takeLease, type Lease } from '../redis/lease.ts';
import { failedFor, isOver, type BackfillProgress } from './backfill-progress.ts';
import type { BackfillRequest } from './backfill-request.ts';
import {
  backfillRunSchema,
  isSameRequest,
  KEPT_MS,
  newRun,
  RUNS_AT_ONCE,
  type BackfillRun,
  type BackfillRuns,
  type BackfillWork,
} from './runs.ts';

/** How runs in Redis are made. Times in milliseconds. */
export interface RedisRunsOptions {
  readonly redisUrl: string;
  readonly log: Logger;
  /** What all keys begin with; `modpress` unless given. */
  readonly prefix?: string;
  /** After how long a run whose process is silent is taken up by another; ten seconds unless given. */
  readonly lockMs?: number;
}

/** How often one looks for runs that nobody works on, and stores how far one is, in milliseconds. */
const LOOK_MS = 1_000;

/**
 * Backfills shared by all processes on one Redis. Each run is one text in Redis and its id is in the set of those that are
 * not over; whoever has the lock of a run works on it. If Redis is emptied, a run in progress writes itself down again.
 */
export class RedisRuns implements BackfillRuns {
  readonly #redis: Redis;
  readonly #log: Logger;
  readonly #prefix: string;
  readonly #lockMs: number;
  readonly #closing = new AbortController();
  readonly #running = new Map<string, Promise<void>>();
  #looking: Promise<void> = Promise.resolve();

  constructor({ redisUrl, log, prefix = 'modpress', lockMs = 10_000 }: RedisRunsOptions) {
    this.#redis = connectRedis(redisUrl, log);
    watchHeartbeat(this.#redis);
    this.#log = log;
    this.#prefix = prefix;
    this.#lockMs = lockMs;
  }

  async start(request: BackfillRequest): Promise<BackfillRun> {
    for (const id of await this.#redis.smembers(this.#open)) {
      const run = await this.find(id);
      if (run && !isOver(run.progress) && isSameRequest(run.request, request)) return run;
    }
    const run = newRun(request);
    await this.#store(run);
    return run;
  }

  async find(id: string): Promise<BackfillRun | undefined> {
    const text = await this.#redis.get(this.#key(id));
    return text === null ? undefined : backfillRunSchema.parse(JSON.parse(text));
  }

  process(work: BackfillWork): void {
    this.#looking = this.#look(work);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#looking;
    await Promise.all(this.#running.values());
    endRedis(this.#redis);
  }

  get #open(): string {
    return `${this.#prefix}:backfills`;
  }

  #key(id: string): string {
    return `${this.#prefix}:backfill:${id}`;
  }

  async #store(run: BackfillRun): Promise<void> {
    const over = isOver(run.progress);
    const change = this.#redis.multi().set(this.#key(run.id), JSON.stringify(run), 'PX', KEPT_MS);
    await (over ? change.srem(this.#open, run.id) : change.sadd(this.#open, run.id)).exec();
  }

  /** Takes up what nobody works on, until `close`. */
  async #look(work: BackfillWork): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        for (const id of await this.#redis.smembers(this.#open)) {
          if (this.#running.size < RUNS_AT_ONCE && !this.#running.has(id)) await this.#take(id, work);
        }
      } catch (error) {
        this.#log.debug({ reason: messageOf(error) }, 'Redis cannot be asked for backfills');
      }
      await sleep(LOOK_MS, signal);
    }
  }

  async #take(id: string, work: BackfillWork): Promise<void> {
    const lock = await takeLease(
      this.#redis,
      `${this.#prefix}:backfill-worker:${id}`,
      this.#lockMs,
      this.#log,
      async () => undefined,
    );
    if (!lock) return;
    let run: BackfillRun | undefined;
    try {
      run = await this.find(id);
    } catch (error) {
      // It is not gone: Redis is, or this process does not understand what a newer one has written. The others go on.
      this.#log.debug({ backfill: id, reason: messageOf(error) }, 'a backfill cannot be read');
      await lock.release();
      return;
    }
    if (!run || isOver(run.progress)) {
      await this.#redis.srem(this.#open, id);
      await lock.release();
      return;
    }
    const running = this.#run(run, work, lock).finally(() => this.#running.delete(id));
    this.#running.set(id, running);
  }

  async #run(run: BackfillRun, work: BackfillWork, lock: Lease): Promise<void> {
    const { signal } = this.#closing;
    let progress: BackfillProgress = run.progress;
    // Now and then, not for each tag; and also when nothing has changed, in case Redis has lost it.
    const timer = setInterval(() => void this.#note({ ...run, progress }), LOOK_MS);
    try {
      progress = await work(run.request, (current) => void (progress = current), signal);
    } catch (error) {
      if (!signal.aborted) progress = failedFor(error, progress);
    } finally {
      clearInterval(timer);
      await this.#note({ ...run, progress });
      await lock
        .release()
        .catch((error: unknown) =>
          this.#log.warn(
            { backfill: run.id, err: error },
            'the lock of a backfill could not be given back and will run out',
          ),
        );
    }
  }

  async #note(run: BackfillRun): Promise<void> {
    try {
      await this.#store(run);
    } catch (error) {
      this.#log.warn({ backfill: run.id, reason: messageOf(error) }, 'how far a backfill is could not be stored');
    }
  }
}
