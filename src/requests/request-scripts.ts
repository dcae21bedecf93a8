import { z } from 'zod';

/**
 * Returns the time of the last change of the subjects with the keys KEYS[first] and later, as text; `0` without a
 * change.
 */
const lastChange = (first: number): string => `
local changed = '0'
for i = ${first}, #KEYS do
  local time = redis.call('GET', KEYS[i])
  if time and tonumber(time) > tonumber(changed) then changed = time end
end`;

/** Returns the time of the last change of the subjects with these keys, in microseconds, as text. */
export const CHANGED_SCRIPT = `${lastChange(1)}
return changed`;

/** Records a change of the subject with the key KEYS[1] for ARGV[1] milliseconds. */
export const INVALIDATE_SCRIPT = `
local now = redis.call('TIME')
redis.call('SET', KEYS[1], string.format('%d%06d', now[1], now[2]), 'PX', ARGV[1])
return 1`;

/**
 * Returns `answer`, the text of the stored answer and the milliseconds until it expires, unless the text is ARGV[1].
 * The fourth value is the time of the last change of the subjects, whose keys are KEYS[4] and later. Without such an
 * answer, returns `wait` if the lease of the request is taken; the text is then the id of the job that waits, or empty if
 * no job waits or no more jobs may wait. Returns `full` if too many requests are waiting. Otherwise
 * takes the lease and returns `put`; the caller must then put the request into the queue.
 *
 * While the request waits in the queue, its lease is renewed as long as clients look for the answer. Afterwards it
 * expires, and the worker drops the request. ARGV: the stale text, the id of the job, the length of the lease in
 * milliseconds, the maximum number of waiting requests, the prefix of the keys in which Bull stores jobs.
 */
export const LOOK_SCRIPT = `
${lastChange(4)}
local text = redis.call('GET', KEYS[1])
if text and text ~= ARGV[1] then return {'answer', text, redis.call('PTTL', KEYS[1]), changed} end
local full = redis.call('LLEN', KEYS[3]) >= tonumber(ARGV[4])
local holder = redis.call('GET', KEYS[2])
if holder then
  local job = string.match(holder, '^waiting:(.*)')
  local waits = job and redis.call('LLEN', KEYS[3]) > 0 and redis.call('EXISTS', ARGV[5] .. job) == 1
  if waits then redis.call('PEXPIRE', KEYS[2], ARGV[3]) end
  return {'wait', waits and not full and job or '', 0, changed}
end
if full then return {'full', '', 0, changed} end
redis.call('SET', KEYS[2], 'waiting:' .. ARGV[2], 'PX', ARGV[3])
return {'put', '', 0, changed}`;
/** Parses the reply of LOOK_SCRIPT. */
export const lookReplySchema = z.tuple([
  z.enum(['answer', 'wait', 'full', 'put']),
  z.string(),
  z.number(),
  z.coerce.number(),
]);

/**
 * Shortens the lease of a request that waits to ARGV[1] milliseconds, because a client no longer looks for its answer.
 * Another client renews it in this time.
 */
export const ABANDON_SCRIPT = `
if string.match(redis.call('GET', KEYS[1]) or '', '^waiting:') and redis.call('PTTL', KEYS[1]) > tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 1`;

/**
 * Transfers the lease from the holder ARGV[1] to the holder ARGV[2], or renews it if both are equal. If there is no
 * lease, ARGV[4] counts as its holder. Returns 0 if another holder has the lease.
 */
export const HOLD_SCRIPT = `
if (redis.call('GET', KEYS[1]) or ARGV[4]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`;

/** Stores the answer and releases the lease. If another holder has the lease, changes nothing and returns 0. */
export const FINISH_SCRIPT = `
if (redis.call('GET', KEYS[2]) or ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1`;
