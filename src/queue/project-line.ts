import type { RedisConnection } from '../redis/connection.ts';
import type { TagJob } from './tag-job.ts';

/**
 * The line of a project: a set in Redis with the ids of its jobs that are not done. The place of a new job in the line
 * of its project becomes its priority in Bull. The first jobs of all projects therefore run before their second jobs,
 * and so on: projects take turns.
 */

/** A line expires a day after the last job joined it, in case its project has no more jobs. */
const LINE_SECONDS = 86_400;
/** Places beyond this one are equal, so that pushed tags stay before listed tags. */
const MAX_PLACE = 1_000_000;

/**
 * Adds a job to the line and returns its place. If the line is long, it looks at a few jobs and removes those that no
 * longer exist: a process may have died between the end of a job and its removal.
 *
 * KEYS: the line. ARGV: the id of the job, the prefix of the keys of Bull's jobs, LINE_SECONDS.
 */
const JOIN_SCRIPT = `
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[3])
local place = redis.call('SCARD', KEYS[1])
if place > 10 then
  for _, id in ipairs(redis.call('SRANDMEMBER', KEYS[1], 3)) do
    if id ~= ARGV[1] and redis.call('EXISTS', ARGV[2] .. id) == 0 then
      redis.call('SREM', KEYS[1], id)
    end
  end
end
return place`;

/**
 * Adds a job to the line of its project, unless it is there already. Resolves to its place, from 1. `jobKeyPrefix` is
 * the prefix of the keys in which Bull stores jobs.
 */
export async function joinLine(
  redis: RedisConnection,
  projectId: number,
  id: string,
  jobKeyPrefix: string,
): Promise<number> {
  return Number(await redis.eval(JOIN_SCRIPT, 1, lineKey(redis, projectId), id, jobKeyPrefix, LINE_SECONDS));
}

/** Removes a job from the line of its project, after the job is done. */
export async function leaveLine(redis: RedisConnection, projectId: number, id: string): Promise<void> {
  await redis.srem(lineKey(redis, projectId), id);
}

/** Returns the priority of a job in Bull, where 1 runs first. Pushed tags run before listed tags. */
export function bullPriority(priority: TagJob['priority'], place: number): number {
  return (priority === 'pushed' ? 0 : MAX_PLACE) + Math.min(place, MAX_PLACE);
}

function lineKey(redis: RedisConnection, projectId: number): string {
  return redis.key(`project-line:${projectId}`);
}
