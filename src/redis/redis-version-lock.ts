import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import { Retry } from '../errors.ts';
import { takeLease, type Lock } from './lease.ts';
import type { VersionLock } from './version-lock.ts';

/** After so long without a sign of life a lock is free for others, in milliseconds. */
const lockMs = 10_000;
/** How often one looks whether a lock is free, in milliseconds. */
const lookMs = 200;

/** The lock among all processes on one Redis. Rejects with Retry when Redis cannot be used. */
export function redisLock(redis: Redis, log: Logger): VersionLock {
  return async (name, work) => {
    const lock = await take(redis, `modpress:version:${name}`, log);
    try {
      return await work();
    } finally {
      await lock
        .release()
        .catch((error: unknown) => log.warn({ name, err: error }, 'a lock could not be given back and will run out'));
    }
  };
}

async function take(redis: Redis, key: string, log: Logger): Promise<Lock> {
  for (;;) {
    const lock = await takeLease(redis, key, lockMs, log, async () => undefined).catch((cause: unknown) => {
      throw new Retry('the lock of a version cannot be taken in Redis', { cause });
    });
    if (lock !== undefined) return lock;
    await sleep(lookMs);
  }
}
