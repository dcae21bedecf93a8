import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Retry } from '../../src/errors.ts';
import { MemoryPace } from '../../src/pace/memory-pace.ts';
import { RedisPace } from '../../src/pace/redis-pace.ts';
import { connectRedis, endRedis } from '../../src/queue/redis.ts';
import { type RedisService, removeKeys, startRedis } from '../services/redis.ts';
import { paceContract } from './contract.ts';

describe('the pace in the process', () => {
  const memory = new MemoryPace();
  paceContract(() => memory);
});

describe('the pace on Redis', () => {
  const prefix = `test-${randomUUID()}`;
  const log = pino({ level: 'silent' });
  let service: RedisService;
  let connections: ReturnType<typeof connectRedis>[];

  beforeAll(async () => {
    service = await startRedis();
    connections = [connectRedis(service.url, log), connectRedis(service.url, log)];
  });
  afterAll(async () => {
    for (const connection of connections) endRedis(connection);
    await removeKeys(service.url, prefix);
    await service.close();
  });

  let turn = 0;
  paceContract(() => {
    const connection = connections[turn++ % 2];
    if (connection === undefined) throw new Error('not connected');
    return new RedisPace(connection, prefix);
  });

  it('leaves no key behind once window and hold are over', async () => {
    const [redis] = connections;
    const key = randomUUID();
    if (redis === undefined) throw new Error('not connected');
    const pace = new RedisPace(redis, prefix);
    await pace.reserve(key, 3, 20_000);
    await pace.hold(key, 20_000);
    for (const name of [`${prefix}:pace:${key}`, `${prefix}:pace-hold:${key}`]) {
      const expiry = await redis.pttl(name);
      expect(expiry).toBeGreaterThan(0);
      expect(expiry).toBeLessThanOrEqual(20_000);
    }
  });

  it('goes on after the clock of Redis was set back', async () => {
    const [redis] = connections;
    const key = randomUUID();
    if (redis === undefined) throw new Error('not connected');
    const pace = new RedisPace(redis, prefix);
    const [seconds] = await redis.time();
    await redis.zadd(`${prefix}:pace:${key}`, (Number(seconds) + 3_600) * 1_000_000, 'an hour ahead');
    expect(await pace.reserve(key, 1, 1_000)).toBe(0);
    expect(await pace.reserve(key, 1, 1_000)).toBeGreaterThan(0);
  });

  it('asks for a retry when Redis is gone', async () => {
    await using own = await startRedis({ own: true });
    const redis = connectRedis(own.url, log);
    try {
      const pace = new RedisPace(redis, prefix);
      expect(await pace.reserve('calls', 1, 1_000)).toBe(0);
      await own.stop();
      await expect(pace.reserve('calls', 1, 1_000)).rejects.toBeInstanceOf(Retry);
      await expect(pace.hold('calls', 1_000)).rejects.toBeInstanceOf(Retry);
      await own.start();
      await expect.poll(() => pace.reserve('calls', 1, 1_000).catch(() => 'down'), { timeout: 10_000 }).toBe(0);
    } finally {
      endRedis(redis);
    }
  });
});
