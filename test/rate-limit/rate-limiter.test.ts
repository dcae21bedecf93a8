import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Retry } from '../../src/errors.ts';
import { MemoryRateLimiter } from '../../src/rate-limit/memory-rate-limiter.ts';
import { RedisRateLimiter } from '../../src/rate-limit/redis-rate-limiter.ts';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { type AnyRedis, connectTo, locationIn, REDIS_KINDS, removeKeys } from '../services/redis-kinds.ts';
import { startRedis } from '../services/redis.ts';
import { rateLimiterContract } from './contract.ts';

describe('the rate limiter in memory', () => {
  const memory = new MemoryRateLimiter();
  rateLimiterContract(() => memory);
});

describe.each(REDIS_KINDS)('the rate limiter on %s', (_name, start) => {
  const space = `test-${randomUUID()}`;
  let service: AnyRedis;
  let connections: RedisConnection[];

  beforeAll(async () => {
    service = await start();
    connections = [connectTo(locationIn(service.url, space)), connectTo(locationIn(service.url, space))];
  });
  afterAll(async () => {
    for (const connection of connections) connection.close();
    await removeKeys(locationIn(service.url, space));
    await service.close();
  });

  let turn = 0;
  rateLimiterContract(() => {
    const connection = connections[turn++ % 2];
    if (connection === undefined) throw new Error('not connected');
    return new RedisRateLimiter(connection);
  });

  it('sets an expiry for its keys, which is the window or the hold', async () => {
    const [redis] = connections;
    const key = randomUUID();
    if (redis === undefined) throw new Error('not connected');
    const rateLimiter = new RedisRateLimiter(redis);
    await rateLimiter.reserve(key, 3, 20_000);
    await rateLimiter.hold(key, 20_000);
    for (const name of [redis.key(`rate-limit:${key}`), redis.key(`rate-limit-hold:${key}`)]) {
      const expiry = await redis.pttl(name);
      expect(expiry).toBeGreaterThan(0);
      expect(expiry).toBeLessThanOrEqual(20_000);
    }
  });

  it('continues after the clock of Redis was set back', async () => {
    const [redis] = connections;
    const key = randomUUID();
    if (redis === undefined) throw new Error('not connected');
    const rateLimiter = new RedisRateLimiter(redis);
    const [seconds] = await redis.time();
    await redis.zadd(redis.key(`rate-limit:${key}`), (Number(seconds) + 3_600) * 1_000_000, 'an hour ahead');
    expect(await rateLimiter.reserve(key, 1, 1_000)).toBe(0);
    expect(await rateLimiter.reserve(key, 1, 1_000)).toBeGreaterThan(0);
  });
});

describe('the rate limiter in Redis', () => {
  it('rejects with a Retry during an outage of Redis', async () => {
    await using own = await startRedis({ own: true });
    const redis = connectTo(locationIn(own.url, 'test'));
    try {
      const rateLimiter = new RedisRateLimiter(redis);
      expect(await rateLimiter.reserve('calls', 1, 1_000)).toBe(0);
      await own.stop();
      await expect(rateLimiter.reserve('calls', 1, 1_000)).rejects.toBeInstanceOf(Retry);
      await expect(rateLimiter.hold('calls', 1_000)).rejects.toBeInstanceOf(Retry);
      await own.start();
      await expect.poll(() => rateLimiter.reserve('calls', 1, 1_000).catch(() => 'down'), { timeout: 10_000 }).toBe(0);
    } finally {
      redis.close();
    }
  });
});
