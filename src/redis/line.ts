import type { RedisConnection } from './connection.ts';

/**
 * Lines in Redis. A line is a set with the ids of the jobs of one project, client or module that are not done. The
 * place of a new job in its lines becomes its priority in Bull. The first jobs of all lines therefore run before their
 * second jobs, and so on: they take turns.
 */

/** A line expires a day after the last job joined it, in case no more jobs join. */
const LINE_SECONDS = 86_400;

/**
 * Adds a job to each line and returns the sum of its places. In a long line, it looks at a few jobs and removes those
 * that no longer exist: a process may have died between the end of a job and its removal.
 *
 * KEYS: the lines. ARGV: the id of the job, the prefix of the keys of Bull's jobs, LINE_SECONDS.
 */
const JOIN_SCRIPT = `
local places = 0
for _, line in ipairs(KEYS) do
  redis.call('SADD', line, ARGV[1])
  redis.call('EXPIRE', line, ARGV[3])
  local place = redis.call('SCARD', line)
  places = places + place
  if place > 10 then
    for _, id in ipairs(redis.call('SRANDMEMBER', line, 3)) do
      if id ~= ARGV[1] and redis.call('EXISTS', ARGV[2] .. id) == 0 then redis.call('SREM', line, id) end
    end
  end
end
return places`;

/**
 * Adds a job to lines in which it is not yet. Resolves to the sum of its places, which count from 1. `jobKeyPrefix` is
 * the prefix of the keys in which Bull stores jobs. Rejects if Redis cannot be reached.
 */
export async function joinLines(
  redis: RedisConnection,
  lines: readonly string[],
  id: string,
  jobKeyPrefix: string,
): Promise<number> {
  const keys = lines.map((line) => lineKey(redis, line));
  return Number(await redis.eval(JOIN_SCRIPT, keys.length, ...keys, id, jobKeyPrefix, LINE_SECONDS));
}

/**
 * Removes a job from lines after it is done. Ignores an outage of Redis: the next jobs in the lines correct them, and
 * the job itself must not fail because of it.
 */
export async function leaveLines(redis: RedisConnection, lines: readonly string[], id: string): Promise<void> {
  await Promise.allSettled(lines.map((line) => redis.srem(lineKey(redis, line), id)));
}

function lineKey(redis: RedisConnection, line: string): string {
  return redis.key(`line:${line}`);
}
