import type { RedisConnection } from './connection.ts';

/**
 * Lines in Redis. A line is a set with the ids of the jobs of one project that are not done. The place of a new job in
 * its line becomes its priority in Bull. The first jobs of all lines therefore run before their second jobs, and so on:
 * they take turns.
 */

/** A line expires a day after the last job joined it, in case no more jobs join. */
const LINE_SECONDS = 86_400;

/**
 * Adds a job to a line and returns its place. In a long line, it looks at a few jobs and removes those that no longer
 * exist: a process may have died between the end of a job and its removal.
 *
 * KEYS: the line. ARGV: the id of the job, the prefix of the keys of Bull's jobs, LINE_SECONDS.
 */
const JOIN_SCRIPT = `
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
local place = redis.call('SCARD', KEYS[1])
if place > 10 then
  for _, id in ipairs(redis.call('SRANDMEMBER', KEYS[1], 3)) do
    if id ~= ARGV[1] and redis.call('EXISTS', ARGV[2] .. id) == 0 then redis.call('SREM', KEYS[1], id) end
  end
end
return place`;

/**
 * Adds a job to a line in which it is not yet. Resolves to its place, which counts from 1. `jobKeyPrefix` is the prefix
 * of the keys in which Bull stores jobs. Rejects if Redis cannot be reached.
 */
export async function joinLine(
  redis: RedisConnection,
  line: string,
  id: string,
  jobKeyPrefix: string,
): Promise<number> {
  return Number(await redis.eval(JOIN_SCRIPT, 1, lineKey(redis, line), id, jobKeyPrefix, LINE_SECONDS));
}

/**
 * Removes a job from a line after it is done. Ignores an outage of Redis: the next jobs in the line correct it, and the
 * job itself must not fail because of it.
 */
export async function leaveLine(redis: RedisConnection, line: string, id: string): Promise<void> {
  await redis.srem(lineKey(redis, line), id).catch(() => undefined);
}

function lineKey(redis: RedisConnection, line: string): string {
  return redis.key(`line:${line}`);
}
