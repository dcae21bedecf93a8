import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Retry } from '../errors.ts';
import type { RedisConnection } from './connection.ts';
import { takeLease, type Lease } from './lease.ts';
import type { VersionLock } from './version-lock.ts';

/** A lease expires if its holder does not renew it for this many milliseconds. */
const LOCK_MS = 10_000;
/** How often a waiting process tries to take the lease, in milliseconds. */
const POLL_MS = 200;

/** Creates a lock that all processes on one Redis share. The lock rejects with Retry if Redis cannot be used. */
export function redisLock(redis: RedisConnection, log: Logger): VersionLock {
  return async (name, work) => {
    const lease = await waitForLease(redis, name, log);
    try {
      return await work();
    } finally {
      await lease
        .release()
        .catch((error: unknown) =>
          log.warn(
            { event: 'version-lock.release-failed', name, err: error },
            'the lock of a version could not be released; it expires automatically',
          ),
        );
    }
  };
}

async function waitForLease(redis: RedisConnection, name: string, log: Logger): Promise<Lease> {
  for (;;) {
    const lease = await takeLease(redis, redis.key(`version:${name}`), LOCK_MS, log).catch((error: unknown) => {
      throw new Retry('the lock of a version cannot be taken in Redis', { cause: redis.reasonFor(error) });
    });
    if (lease !== undefined) return lease;
    await sleep(POLL_MS);
  }
}
