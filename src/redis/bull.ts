import Bull from 'bull';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

/** How a queue on Bull is made. All times in milliseconds. */
export interface BullOptions {
  readonly log: Logger;
  /** `redis://` or `rediss://`. */
  readonly redisUrl: string;
  /** What all keys begin with; `modpress` unless given. */
  readonly prefix?: string;
  /** After how long a job whose worker is silent may be taken from it; ten seconds unless given. */
  readonly lockMs?: number;
  /** How often such jobs are looked for; five seconds unless given. A job is taken at the second look. */
  readonly stalledCheckMs?: number;
}

/** Thrown to Bull to have a job run again after `delayMs`. */
export class Again extends Error {
  override readonly name = 'Again';
  readonly delayMs: number;

  constructor(delayMs: number) {
    super(`again in ${delayMs} ms`);
    this.delayMs = delayMs;
  }
}

/**
 * What Bull is told about every job: our own id, no last attempt, and nothing left of it when it is done. Those with a lower
 * `priority` come first; in one queue, either all have one or none.
 */
export function jobOptions(jobId: string, priority?: 1 | 2): Bull.JobOptions {
  return {
    jobId,
    ...(priority !== undefined && { priority }),
    attempts: Number.MAX_SAFE_INTEGER,
    backoff: { type: 'asked' },
    removeOnComplete: true,
    removeOnFail: true,
    stackTraceLimit: 1,
  };
}

/** Takes a job away that has no data, unless it has got some in the meantime. */
const discardScript = `
redis.call('LREM', KEYS[2], 1, ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
if redis.call('HEXISTS', KEYS[1], 'data') == 0 then redis.call('DEL', KEYS[1]) end
return 0`;

/**
 * Takes away a job without data, and then throws Again, for the case that it has got some in the meantime.
 *
 * Bull can hand out an id whose job is gone, and in doing so leaves a job without data, into which all later
 * ones of that id would fold (bull 4.16 lib/commands: moveToActive and others write to the hash unasked).
 */
export async function discard<T>(job: Bull.Job<T>, redis: Redis, log: Logger, againMs: number): Promise<never> {
  const { queue } = job;
  const id = String(job.id);
  log.warn({ id }, 'a job without data is discarded');
  await redis.eval(discardScript, 3, queue.toKey(id), queue.toKey('active'), queue.toKey('stalled'), id);
  throw new Again(againMs);
}

/** The connections that Bull asks for. */
export type ConnectionType = 'client' | 'subscriber' | 'bclient';

/** What all keys of a queue begin with. */
export function prefixOf(options: BullOptions): string {
  return options.prefix ?? 'modpress';
}

/** For how long a lock holds without being renewed, in milliseconds. */
export function lockMsOf(options: BullOptions): number {
  return options.lockMs ?? 10_000;
}

/** Opens one of Bull's queues on connections of ours; whoever made them ends them. */
export function openBull<T>(
  name: 'publish' | 'questions',
  options: BullOptions,
  createClient: (type: ConnectionType) => Redis,
): Bull.Queue<T> {
  const bull = new Bull<T>(name, {
    prefix: prefixOf(options),
    createClient,
    settings: {
      lockDuration: lockMsOf(options),
      stalledInterval: options.stalledCheckMs ?? 5_000,
      // A job that keeps losing its worker would otherwise be dropped.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      // Delayed jobs are announced by publish/subscribe; this is how late they can be if that gets lost.
      guardInterval: 1_000,
      retryProcessDelay: 1_000,
      backoffStrategies: { asked: (_attempts, error) => (error instanceof Again ? error.delayMs : 1_000) },
    },
  });
  bull.on('error', (error: Error, doing?: string) => {
    // Errors of the connections come here too, one for each attempt, without `doing`: connectRedis reports those.
    if (doing !== undefined) options.log.warn({ err: error, doing }, 'Bull reports an error');
  });
  // Bull names its connection without catching what may go wrong (CLIENT forbidden, connection lost), which
  // would end the process as an unhandled rejection (bull 4.16 lib/queue.js, setHandler).
  return Object.assign(bull, { setWorkerName: () => Promise.resolve() });
}

/**
 * Has Bull take no more jobs, and resolves once it has recorded what became of those it had.
 *
 * Bull's own way of waiting for that reconnects in between without catching what may go wrong, which during an
 * outage ends the process (bull 4.16 lib/queue.js, whenCurrentJobsFinished). Hence the look at `processing`, where
 * it keeps what it is at.
 */
export async function windDown<T>(bull: Bull.Queue<T>): Promise<void> {
  const { processing } = bull as unknown as { processing: Record<string, Promise<unknown>> };
  await bull.close(true);
  await Promise.all(Object.values(processing));
}
