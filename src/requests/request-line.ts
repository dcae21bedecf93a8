import type { RedisConnection } from '../redis/connection.ts';
import type { RequestJob } from './bull-request-job.ts';

/**
 * The line in which requests wait in Redis. It has the same order as WaitingLine. The rank of a job is its priority in
 * Bull.
 *
 * There is a set with the ids of the jobs of each client and group. The sets of a client and of a group contain the keys
 * of their sets of jobs.
 */

/** A set expires a day after the last job joined it, in case no more jobs join. */
const SET_SECONDS = 86_400;

/**
 * Adds a job and returns its rank, or 0 if the job is already there. In each large set, it looks at a few members and
 * removes those that no longer exist: a process may have died between the end of a job and its removal.
 *
 * KEYS: the set of jobs, the set of the client, the set of the group. ARGV: the id of the job, the prefix of the keys of
 * Bull's jobs, SET_SECONDS.
 */
const JOIN_SCRIPT = `
local function add(set, member, prefix)
  local added = redis.call('SADD', set, member)
  redis.call('EXPIRE', set, ARGV[3])
  if redis.call('SCARD', set) > 10 then
    for _, other in ipairs(redis.call('SRANDMEMBER', set, 3)) do
      if other ~= member and redis.call('EXISTS', prefix .. other) == 0 then redis.call('SREM', set, other) end
    end
  end
  return added
end
if add(KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
add(KEYS[2], KEYS[1], '')
add(KEYS[3], KEYS[1], '')
return redis.call('SCARD', KEYS[1]) * math.max(redis.call('SCARD', KEYS[2]), redis.call('SCARD', KEYS[3]))`;

/** Removes a job. KEYS and ARGV: as those of JOIN_SCRIPT. */
const LEAVE_SCRIPT = `
redis.call('SREM', KEYS[1], ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SREM', KEYS[2], KEYS[1])
  redis.call('SREM', KEYS[3], KEYS[1])
end`;

/** The part of a job that determines its line. */
type Waiting = Pick<RequestJob, 'client' | 'group'>;

/**
 * Adds a job to the line. Resolves to its rank, which counts from 1, or to undefined if it is already in the line.
 * `jobKeyPrefix` is the prefix of the keys in which Bull stores jobs. Rejects if Redis cannot be reached.
 */
export async function joinRequestLine(
  redis: RedisConnection,
  waiting: Waiting,
  jobId: string,
  jobKeyPrefix: string,
): Promise<number | undefined> {
  const rank = Number(await redis.eval(JOIN_SCRIPT, 3, ...keysOf(redis, waiting), jobId, jobKeyPrefix, SET_SECONDS));
  return rank === 0 ? undefined : rank;
}

/** Removes a job that is done from the line. Ignores an outage of Redis: the next jobs in the line correct it. */
export async function leaveRequestLine(redis: RedisConnection, waiting: Waiting, jobId: string): Promise<void> {
  await redis.eval(LEAVE_SCRIPT, 3, ...keysOf(redis, waiting), jobId).catch(() => undefined);
}

function keysOf(redis: RedisConnection, { client, group }: Waiting): [jobs: string, client: string, group: string] {
  return [
    redis.key(`line:${JSON.stringify([client, group])}`),
    redis.key(`line-of-client:${client}`),
    redis.key(`line-of-group:${group}`),
  ];
}
