import { setTimeout as sleep } from 'node:timers/promises';
import type Bull from 'bull';
import type { Redis, RedisOptions } from 'ioredis';
import {
  Again,
  type BullQueueOptions,
  type ConnectionType,
  lockMsOf,
  openBull,
  prefixOf,
  type StoredJob,
  storedJob,
  windDown,
} from './bull.ts';
import { subjectOf } from './job-id.ts';
import type { Handler } from './queue.ts';
import { connectRedis, endRedis, watchHeartbeat } from './redis.ts';
import { failureRule } from './retry.ts';
import { takeLock } from './tag-lock.ts';
import { within } from './within.ts';

/** How long a job waits whose tag is being worked on, in milliseconds. */
const busyMs = 1_000;
/** How long `close` waits for Redis to take note of the last jobs, in milliseconds. */
const farewellMs = 5_000;
/** A worker has nobody waiting for it: its commands sit an outage out. */
const patient: RedisOptions = { maxRetriesPerRequest: null, commandTimeout: 15_000 };
/** Commands that wait by design must not be timed; Bull insists on the ready check being off for them. */
const blocking: RedisOptions = { ...patient, commandTimeout: undefined, enableReadyCheck: false };

/** Takes a job away that has no data, unless it has got some in the meantime. */
const discardScript = `
redis.call('LREM', KEYS[2], 1, ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
if redis.call('HEXISTS', KEYS[1], 'data') == 0 then redis.call('DEL', KEYS[1]) end
return 0`;

type Connections = Record<ConnectionType, Redis>;

/** The half of the Bull queue that runs jobs. It has connections of its own, since it waits where others must not. */
export class BullWorker {
  readonly #options: BullQueueOptions;
  readonly #handler: Handler;
  readonly #failed: ReturnType<typeof failureRule>;
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #connections: Connections | undefined;
  #bull: Bull.Queue<StoredJob> | undefined;

  constructor(options: BullQueueOptions, handler: Handler) {
    this.#options = options;
    this.#handler = handler;
    this.#failed = failureRule(options);
  }

  /** Runs jobs until `close`, as soon as Redis is there, at most `concurrency` at a time. */
  async start(concurrency: number): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const connections = this.#connect();
      try {
        // Bull never starts if Redis fails it at the start (loading, say), so it is begun only when all is well.
        await Promise.all(Object.values(connections).map((connection) => connection.ping()));
        if (signal.aborted) return;
        this.#bull = openBull(this.#options, (type) => connections[type]);
        await this.#bull.process(concurrency, (job) => this.#run(job, connections.client));
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log.warn({ err: error }, 'the worker cannot start yet; trying again');
        this.#disconnect();
        await sleep(1_000);
      }
    }
  }

  /** Takes no more jobs, waits for those that run, and ends the connections. */
  async close(): Promise<void> {
    this.#closing.abort();
    const recorded = this.#bull && windDown(this.#bull);
    await Promise.allSettled(this.#running);
    try {
      // Without Redis the last jobs cannot be recorded, and nobody knows for how long.
      if (recorded) await within(farewellMs, recorded);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'the last jobs could not be recorded as done and may run once more');
    }
    this.#disconnect();
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
      if (this.#closing.signal.aborted) throw new Again(1);
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

  #connect(): Connections {
    const { redisUrl, log } = this.#options;
    const connections = {
      client: connectRedis(redisUrl, log, patient),
      subscriber: connectRedis(redisUrl, log, blocking),
      bclient: connectRedis(redisUrl, log, blocking),
    };
    watchHeartbeat(connections.client);
    // The other two cannot be asked whether they live. They lead to the same place, so they share its fate.
    connections.client.on('reconnecting', () => {
      for (const other of [connections.subscriber, connections.bclient]) {
        if (other.status === 'ready') other.disconnect(true);
      }
    });
    this.#connections = connections;
    return connections;
  }

  #disconnect(): void {
    for (const connection of Object.values(this.#connections ?? {})) endRedis(connection);
  }
}
