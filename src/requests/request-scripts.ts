import { z } from 'zod';

/**
 * Returns `answer`, the text of the stored answer and the milliseconds until it expires, unless the text is ARGV[1].
 * Without such an answer, returns `wait` if the lease of the request is taken, or `full` if too many requests are
 * waiting. Otherwise takes the lease and returns `put`; the caller must then put the request into the queue.
 */
export const LOOK_SCRIPT = `
local text = redis.call('GET', KEYS[1])
if text and text ~= ARGV[1] then return {'answer', text, redis.call('PTTL', KEYS[1])} end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'wait', '', 0} end
if redis.call('LLEN', KEYS[3]) >= tonumber(ARGV[4]) then return {'full', '', 0} end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return {'put', '', 0}`;
/** Parses the reply of LOOK_SCRIPT. */
export const lookReplySchema = z.tuple([z.enum(['answer', 'wait', 'full', 'put']), z.string(), z.number()]);

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
