import Bull from 'bull';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

/** The options of a queue on Bull. All times in milliseconds. */
export interface BullOptions {
  readonly log: Logger;
  /** `redis://` or `rediss://`. */
  readonly redisUrl: string;
  /** The beginning of all keys; `modpress` by default. */
  readonly prefix?: string;
  /** A job may be taken from a worker that has been silent this long; ten seconds by default. */
  readonly lockMs?: number;
  /** How often Bull looks for such jobs; five seconds by default. It takes a job at the second look. */
  readonly stalledCheckMs?: number;
}

/** The names of the queues on Bull, which are parts of keys in Redis: `publish` has tag jobs, `requests` has requests on demand. */
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

/** The name of our back-off strategy. Bull stores it with each job, so it stays the same in all versions. */
const BACKOFF_STRATEGY = 'asked';

/**
 * Bull's options for every job: our own id, an unlimited number of attempts, and no trace in Redis after the job is done.
 * Jobs with a lower `priority` run first. In one queue, either all jobs have a priority or no job has one.
 */
export function jobOptions(jobId: string, priority?: 1 | 2): Bull.JobOptions {
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

/** Removes a job without data from the queue. Deletes the hash of the job too, unless the job has data by now. */
const DISCARD_SCRIPT = `
redis.call('LREM', KEYS[2], 1, ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
if redis.call('HEXISTS', KEYS[1], 'data') == 0 then redis.call('DEL', KEYS[1]) end
return 0`;

/**
 * Removes a job without data. Then throws RunAgain with `delayMs`, because the job may have got data in the meantime.
 *
 * Bull can return the id of a job that is gone. In doing so it creates a job without data, and every later job of that id
 * would be dropped as a duplicate (bull 4.16 lib/commands: moveToActive and others write to the hash without a check).
 */
export async function discard<T>(job: Bull.Job<T>, redis: Redis, log: Logger, delayMs: number): Promise<never> {
  const { queue } = job;
  const id = String(job.id);
  log.warn({ event: 'job.discarded', id }, 'discarded a job without data');
  await redis.eval(DISCARD_SCRIPT, 3, queue.toKey(id), queue.toKey('active'), queue.toKey('stalled'), id);
  throw new RunAgain(delayMs);
}

/** The kinds of connection that Bull needs. */
export type ConnectionType = 'client' | 'subscriber' | 'bclient';

/** The beginning of all keys of a queue. */
export function prefixOf(options: BullOptions): string {
  return options.prefix ?? 'modpress';
}

/** How long a lock lasts unless it is renewed, in milliseconds. */
export function lockMsOf(options: BullOptions): number {
  return options.lockMs ?? 10_000;
}

/** Opens a queue of Bull on connections that `createClient` returns; the caller ends them. */
export function openBull<T>(
  name: BullQueueName,
  options: BullOptions,
  createClient: (type: ConnectionType) => Redis,
): Bull.Queue<T> {
  const bull = new Bull<T>(name, {
    prefix: prefixOf(options),
    createClient,
    settings: {
      lockDuration: lockMsOf(options),
      stalledInterval: options.stalledCheckMs ?? 5_000,
      // By default Bull drops a job that keeps losing its worker.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      // Bull announces delayed jobs by publish/subscribe. If a message gets lost, a job is late by this much at most.
      guardInterval: 1_000,
      retryProcessDelay: 1_000,
      backoffStrategies: {
        [BACKOFF_STRATEGY]: (_attempts, error) => (error instanceof RunAgain ? error.delayMs : 1_000),
      },
    },
  });
  bull.on('error', (error: Error, action?: string) => {
    // Bull also emits the errors of the connections here, one for each attempt, without `action`: connectRedis logs those.
    if (action !== undefined) options.log.warn({ event: 'bull.failed', err: error, action }, 'Bull reports an error');
  });
  // Bull names its connection and does not catch the errors of this command (CLIENT forbidden, connection lost). They would
  // end the process as an unhandled rejection (bull 4.16 lib/queue.js, setHandler).
  return Object.assign(bull, { setWorkerName: () => Promise.resolve() });
}

/**
 * Stops Bull from taking more jobs. Resolves once Bull has recorded the results of the running ones.
 *
 * Bull's own method for this opens a new connection and does not catch its errors, which end the process during an outage
 * (bull 4.16 lib/queue.js, whenCurrentJobsFinished). So this reads `processing`, where Bull keeps its running jobs.
 */
export async function windDown<T>(bull: Bull.Queue<T>): Promise<void> {
  const { processing } = bull as unknown as { processing: Record<string, Promise<unknown>> };
  await bull.close(true);
  await Promise.all(Object.values(processing));
}
