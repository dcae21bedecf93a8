import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { Retry } from '../errors.ts';
import type { RateLimiter } from './rate-limiter.ts';

/**
 * Reservations are members of a sorted set, scored by the time of Redis in microseconds, so that the clocks of the
 * replicas do not matter. Those in the future are from before that clock was set back (on a machine that started with a
 * wrong one), and do not count: what Redis expires goes by the same clock, so that they would stop all calls until then. A hold
 * is a key that expires with it. KEYS: the set, the hold. ARGV: limit, window in milliseconds, a unique name. Numbers go
 * through string.format because Lua would round the time when printing it.
 */
const reserveScript = `
local held = redis.call('PTTL', KEYS[2])
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
return math.max(1, math.ceil(math.min(window, blocking + window - now) / 1000))`;

/** KEYS: the hold. ARGV: milliseconds. A longer hold stays. */
const holdScript = `
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
end`;

/** Keeps the pace of all processes that share a Redis and a prefix: an exact sliding window for each key. */
export class RedisRateLimiter implements RateLimiter {
  readonly #redis: Redis;
  readonly #prefix: string;

  /** `redis` stays the caller's to end. */
  constructor(redis: Redis, prefix = 'modpress') {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  /** Rejects with Retry when Redis does not answer: without it nobody knows what the others have used. */
  async reserve(key: string, limit: number, windowMs: number): Promise<number> {
    return Number(
      await this.#run(reserveScript, [this.#name(key), this.#holdName(key)], [limit, windowMs, randomUUID()]),
    );
  }

  /** Rejects with Retry when Redis does not answer: then the others do not know of it. */
  async hold(key: string, ms: number): Promise<void> {
    // Redis takes whole milliseconds, and no expiry of 0.
    if (ms > 0) await this.#run(holdScript, [this.#holdName(key)], [Math.ceil(ms)]);
  }

  async #run(script: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await this.#redis.eval(script, keys.length, ...keys, ...args);
    } catch (error) {
      throw new Retry('the call budget in Redis cannot be reached', { cause: error });
    }
  }

  #name(key: string): string {
    return `${this.#prefix}:rate-limit:${key}`;
  }

  #holdName(key: string): string {
    return `${this.#prefix}:rate-limit-hold:${key}`;
  }
}
