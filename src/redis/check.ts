import type Bull from 'bull';
import type { RedisConnection } from './connection.ts';

/**
 * Writes a key, reads others, and publishes a message, as the scripts of Bull do. A full Redis or a replica rejects the
 * write. A server rejects keys of several slots. A user may lack one of the permissions.
 */
const CHECK_SCRIPT = `
redis.call('SET', KEYS[1], '1', 'PX', 1000)
redis.call('PUBLISH', KEYS[1], '')
return redis.call('EXISTS', unpack(KEYS))`;

/**
 * Checks that modpress can work with Redis. A PING is not enough for this: the check uses every kind of command that
 * modpress needs, which are a script of Bull, a script of modpress, a transaction, and the command with which a worker
 * waits. Each concerns several keys. Leaves only a key that expires after a second. Rejects with the error of Redis.
 */
export async function checkRedis(redis: RedisConnection, bull: Bull.Queue): Promise<void> {
  const keys = ['check', 'check-list', 'backfills', 'running:check'].map((name) => redis.key(name));
  const list = redis.key('check-list');
  // ioredis sends the first call of a script with EVAL, and later calls with EVALSHA.
  for (let call = 0; call < 2; call++) await bull.getCountsPerPriority([1]);
  try {
    const replies = await redis
      .multi()
      .eval(CHECK_SCRIPT, keys.length, ...keys)
      // In a transaction, this command does not wait.
      .brpoplpush(list, list, 1)
      .exec();
    for (const [error] of replies ?? []) if (error) throw error;
  } catch (error) {
    // If Redis does not accept a command of a transaction, `exec` rejects with EXECABORT, which does not tell why. The
    // first error of a command does (ioredis 5.11 lib/transaction.ts).
    const [first] = error instanceof Error && 'previousErrors' in error ? [error.previousErrors].flat() : [];
    throw first ?? error;
  }
}
