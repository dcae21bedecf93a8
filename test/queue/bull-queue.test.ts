import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe } from 'vitest';
import { BullQueue } from '../../src/queue/bull-queue.ts';
import { type RedisService, removeKeys, startRedis } from '../services/redis.ts';
import { queueContract } from './contract.ts';

describe('the Bull queue', () => {
  const prefix = `test-${randomUUID()}`;
  let redis: RedisService;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(async () => {
    await removeKeys(redis.url, prefix);
    await redis.close();
  });

  queueContract((space, options) => {
    return new BullQueue({ ...options, redisUrl: redis.url, prefix: `${prefix}:${space}` });
  });
});
