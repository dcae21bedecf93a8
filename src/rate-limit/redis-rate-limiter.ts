import { randomUUID } from 'node:crypto';
import { Retry } from '../errors.ts';
import type { RedisConnection } from '../redis/connection.ts';
import { KEEP_PLACE_MS, type RateLimiter, type Urgency } from './rate-limiter.ts';

/**
 * Makes a reservation and returns 0, or returns how many milliseconds to wait.
 *
 * Reservations are members of a sorted set. Their score is the time of the Redis server in microseconds, so the clocks
 * of the processes do not matter. A hold is a key that expires when the hold ends.
 *
 * The script deletes reservations in the future. They were made before the clock of Redis was set back, for example on
 * a machine that started with a wrong time. Redis expires keys by the same clock, so such a reservation would block
 * calls until the clock reaches its time.
 *
 * If urgent work has to wait, the next place is kept for it: background work is held until then. The fourth key ensures
 * that background work has the other half of the time.
 *
 * KEYS: the set, the hold, the hold of background work, the turn of background work. ARGV: the limit, the window in
 * milliseconds, a unique name, the urgency, KEEP_PLACE_MS. Numbers are converted with string.format, because Lua's own
 * conversion would round the time.
 */
const RESERVE_SCRIPT = `
local held = redis.call('PTTL', KEYS[2])
if ARGV[4] == 'background' then
  held = math.max(held, redis.call('PTTL', KEYS[3]))
end
if held >= 0 then
  return math.max(1, held)
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local limit = tonumber(ARGV[1])
local window = tonumber(ARGV[2]) * 1000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - window))
redis.call('ZREMRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf')
local count = redis.call('ZCARD', KEYS[1])
if count < limit then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 0
end
local blocking = redis.call('ZRANGE', KEYS[1], count - limit, count - limit, 'WITHSCORES')[2] or now
local wait = math.max(1, math.ceil(math.min(window, blocking + window - now) / 1000))
if ARGV[4] == 'now' then
  local kept = wait + tonumber(ARGV[5])
  if redis.call('SET', KEYS[4], '', 'PX', 2 * kept, 'NX') then
    redis.call('SET', KEYS[3], '', 'PX', kept)
  end
end
return wait`;

/** Sets a hold unless a longer one exists. KEYS: the hold. ARGV: the length of the hold in milliseconds. */
const HOLD_SCRIPT = `
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
end`;

/** A rate limiter for all processes that share a Redis, with an exact sliding window for each key. */
export class RedisRateLimiter implements RateLimiter {
  readonly #redis: RedisConnection;

  /** The caller must close `redis`. */
  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  /** Rejects with Retry if Redis does not reply, because the reservations of other processes are then unknown. */
  async reserve(key: string, limit: number, windowMs: number, urgency: Urgency = 'now'): Promise<number> {
    const keys = [
      this.#windowKey(key),
      this.#holdKey(key),
      this.#holdKey(`${key}:background`),
      this.#holdKey(`${key}:background-turn`),
    ];
    return Number(await this.#run(RESERVE_SCRIPT, keys, [limit, windowMs, randomUUID(), urgency, KEEP_PLACE_MS]));
  }

  /** Rejects with Retry if Redis does not reply, because other processes then do not see the hold. */
  async hold(key: string, holdMs: number): Promise<void> {
    // Redis accepts only whole milliseconds and rejects an expiry of 0.
    if (holdMs > 0) await this.#run(HOLD_SCRIPT, [this.#holdKey(key)], [Math.ceil(holdMs)]);
  }

  async #run(script: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await this.#redis.eval(script, keys.length, ...keys, ...args);
    } catch (error) {
      throw new Retry('the rate limiter in Redis cannot be reached', { cause: this.#redis.reasonFor(error) });
    }
  }

  #windowKey(key: string): string {
    return this.#redis.key(`rate-limit:${key}`);
  }

  #holdKey(key: string): string {
    return this.#redis.key(`rate-limit-hold:${key}`);
  }
}
