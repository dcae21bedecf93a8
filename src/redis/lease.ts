import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

/**
 * Renews the lease, or takes it again if Redis has lost it, and returns 1. Returns 0 if another holder has the lease.
 */
const RENEW_SCRIPT = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

const RELEASE_SCRIPT = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;

/** A lock in Redis that expires unless its holder renews it. `takeLease` renews it until `release` is called. */
export interface Lease {
  /** Ends the renewals and frees the lease. Rejects if Redis cannot be reached; the lease then expires. */
  release(): Promise<void>;
}

/**
 * Takes the lease `key`. Resolves to undefined if another holder has it. Renews the lease every third of `lockMs`
 * milliseconds, and calls `alsoRenew` each time. If this process dies, the lease expires `lockMs` milliseconds after
 * the last renewal. Rejects if Redis cannot be reached.
 *
 * As with every lease, a process that is suspended for longer than `lockMs` loses the lease without noticing.
 */
export async function takeLease(
  redis: Redis,
  key: string,
  lockMs: number,
  log: Logger,
  alsoRenew?: () => Promise<unknown>,
): Promise<Lease | undefined> {
  const holder = randomUUID();
  if ((await redis.set(key, holder, 'PX', lockMs, 'NX')) === null) return undefined;

  let released = false;
  let timer: NodeJS.Timeout;
  const renew = async (): Promise<void> => {
    try {
      const [isOurs] = await Promise.all([redis.eval(RENEW_SCRIPT, 1, key, holder, lockMs), alsoRenew?.()]);
      if (isOurs === 0) log.error({ event: 'lease.lost', key }, 'another worker has taken the lease');
    } catch (error) {
      log.warn({ event: 'lease.renew-failed', key, err: error }, 'the lease could not be renewed; trying again');
    }
    schedule();
  };
  const schedule = (): void => {
    if (!released) timer = setTimeout(() => void renew(), lockMs / 3);
  };
  schedule();

  return {
    async release() {
      released = true;
      clearTimeout(timer);
      await redis.eval(RELEASE_SCRIPT, 1, key, holder);
    },
  };
}
