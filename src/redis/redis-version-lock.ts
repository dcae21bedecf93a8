import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { Retry } from '../errors.ts';
import { takeLease, type Lease } from './lease.ts';
import type { VersionLock } from './version-lock.ts';

/** A lease expires if its holder does not renew it for this many milliseconds. */
const LOCK_MS = 10_000;
/** How often a waiting process tries to take the lease, in milliseconds. */
const POLL_MS = 200;

/** Creates a lock that all processes on one Redis share. The lock rejects with Retry if Redis cannot be used. */
export function redisLock(redis: Redis, log: Logger): VersionLock {
  return async (name, work) => {
    const lease = await waitForLease(redis, `modpress:version:${name}`, log);
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

async function waitForLease(redis: Redis, key: string, log: Logger): Promise<Lease> {
  for (;;) {
    const lease = await takeLease(redis, key, LOCK_MS, log).catch((cause: unknown) => {
      throw new Retry('the lock of a version cannot be taken in Redis', { cause });
    });
    if (lease !== undefined) return lease;
    await sleep(POLL_MS);
  }
}
