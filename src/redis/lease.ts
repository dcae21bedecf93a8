import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

/** Answers 1 while the lock is ours (taking it back if Redis lost it), 0 once somebody else has it. */
const renewScript = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

const releaseScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;

/** A lock that is held, and kept alive, until it is released. */
export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes the lock `key`, or returns undefined when somebody else holds it. While it is held it is renewed three times
 * in `lockMs` milliseconds; the death of this process frees it after that time. `alsoRenew` runs at each renewal.
 *
 * As with every lease, a process that stands still for longer than `lockMs` loses it without noticing.
 */
export async function takeLease(
  redis: Redis,
  key: string,
  lockMs: number,
  log: Logger,
  alsoRenew: () => Promise<unknown>,
): Promise<Lock | undefined> {
  const token = randomUUID();
  if ((await redis.set(key, token, 'PX', lockMs, 'NX')) === null) return undefined;

  let released = false;
  let timer: NodeJS.Timeout;
  const renew = async (): Promise<void> => {
    try {
      const [ours] = await Promise.all([redis.eval(renewScript, 1, key, token, lockMs), alsoRenew()]);
      if (ours === 0) log.error({ key }, 'the lock was lost to another worker');
    } catch (error) {
      log.warn({ key, err: error }, 'the lock could not be renewed; trying again');
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
      await redis.eval(releaseScript, 1, key, token);
    },
  };
}
