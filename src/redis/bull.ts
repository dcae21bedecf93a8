import Bull from 'bull';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { RedisLocation } from './location.ts';

/** The options of a Bull queue. All times are in milliseconds. */
export interface BullOptions {
  readonly log: Logger;
  readonly redisLocation: RedisLocation;
  /**
   * If a worker does not renew the lock of its job for this long, another worker may take the job; ten seconds by
   * default.
   */
  readonly lockMs?: number;
  /** How often Bull checks for such jobs; five seconds by default. Bull takes a job at the second check. */
  readonly stalledCheckMs?: number;
}

/**
 * The names of the Bull queues, which are parts of keys in Redis. `publish` contains tag jobs, and `requests` contains
 * on-demand requests.
 */
export type BullQueueName = 'publish' | 'requests';

/** A job throws this to run again after `delayMs` milliseconds. */
export class RunAgain extends Error {
  override readonly name = 'RunAgain';
  readonly delayMs: number;

  constructor(delayMs: number) {
    super(`run again in ${delayMs} ms`);
    this.delayMs = delayMs;
  }
}

/**
 * The name of the backoff strategy. Bull stores it with each job, so it must stay the same in all versions of modpress.
 */
const BACKOFF_STRATEGY = 'asked';

/**
 * Returns Bull's options for a job: the given id, an unlimited number of attempts, and removal from Redis after the job
 * is done. Jobs with a lower `priority` run first. In one queue, either all jobs have a priority or no job has one.
 */
export function jobOptions(jobId: string, priority?: number): Bull.JobOptions {
  return {
    jobId,
    ...(priority !== undefined && { priority }),
    attempts: Number.MAX_SAFE_INTEGER,
    backoff: { type: BACKOFF_STRATEGY },
    removeOnComplete: true,
    removeOnFail: true,
    stackTraceLimit: 1,
  };
}

/** Removes a job without data from the queue. Also deletes the hash of the job, unless the job now has data. */
const DISCARD_SCRIPT = `
redis.call('LREM', KEYS[2], 1, ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
if redis.call('HEXISTS', KEYS[1], 'data') == 0 then redis.call('DEL', KEYS[1]) end
return 0`;

/**
 * Removes a job without data. Then rejects with RunAgain and `delayMs`, because the job may have received data in the
 * meantime.
 *
 * Bull can return the id of a job that no longer exists. Bull then creates a job without data, and drops every later
 * job with this id as a duplicate. The reason is that moveToActive and other commands write to the hash without a check
 * (bull 4.16 lib/commands).
 */
export async function discard<T>(job: Bull.Job<T>, redis: Redis, log: Logger, delayMs: number): Promise<never> {
  const { queue } = job;
  const id = String(job.id);
  log.warn({ event: 'job.discarded', id }, 'discarded a job without data');
  await redis.eval(DISCARD_SCRIPT, 3, queue.toKey(id), queue.toKey('active'), queue.toKey('stalled'), id);
  throw new RunAgain(delayMs);
}

/** The kinds of connections that Bull needs. */
export type ConnectionType = 'client' | 'subscriber' | 'bclient';

/** Returns how long a lock lasts unless it is renewed, in milliseconds. */
export function lockMsOf(options: BullOptions): number {
  return options.lockMs ?? 10_000;
}

/** Opens a Bull queue on connections from `createClient`. The caller must close these connections. */
export function openBull<T>(
  name: BullQueueName,
  options: BullOptions,
  createClient: (type: ConnectionType) => Redis,
): Bull.Queue<T> {
  const bull = new Bull<T>(name, {
    prefix: options.redisLocation.keyPrefix,
    createClient,
    settings: {
      lockDuration: lockMsOf(options),
      stalledInterval: options.stalledCheckMs ?? 5_000,
      // By default, Bull drops a job if its workers die repeatedly.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      // Bull announces delayed jobs by publish/subscribe. If a message is lost, a job is late by at most this time.
      guardInterval: 1_000,
      retryProcessDelay: 1_000,
      backoffStrategies: {
        [BACKOFF_STRATEGY]: (_attempts, error) => (error instanceof RunAgain ? error.delayMs : 1_000),
      },
    },
  });
  bull.on('error', (error: Error, action?: string) => {
    // Bull also emits connection errors here, without `action` and once for each attempt. RedisConnection logs these
    // errors.
    if (action !== undefined)
      options.log.warn({ event: 'bull.failed', err: error, action }, 'an operation of Bull failed');
  });
  // Bull sets the name of its connection, and does not catch the errors of this command (CLIENT forbidden, connection
  // lost). Such an error would end the process as an unhandled rejection (bull 4.16 lib/queue.js, setHandler).
  return Object.assign(bull, { setWorkerName: () => Promise.resolve() });
}

/**
 * Stops Bull from taking more jobs. Resolves once Bull has recorded the results of the running jobs.
 *
 * Bull's own method opens a new connection and does not catch its errors, so an outage would end the process (bull 4.16
 * lib/queue.js, whenCurrentJobsFinished). Therefore this function reads `processing`, which contains Bull's running
 * jobs.
 */
export async function windDown<T>(bull: Bull.Queue<T>): Promise<void> {
  const { processing } = bull as unknown as { processing: Record<string, Promise<unknown>> };
  await bull.close(true);
  await Promise.all(Object.values(processing));
}
