import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe } from 'vitest';
import { BullQueue } from '../../src/queue/bull-queue.ts';
import { type AnyRedis, locationIn, REDIS_KINDS, removeKeys } from '../services/redis-kinds.ts';
import { queueContract } from './contract.ts';

describe.each(REDIS_KINDS)('the Bull queue on %s', (_name, start) => {
  const testSpace = `test-${randomUUID()}`;
  let redis: AnyRedis;
  beforeAll(async () => {
    redis = await start();
  });
  afterAll(async () => {
    await removeKeys(locationIn(redis.url, testSpace));
    await redis.close();
  });

  queueContract((space, options) => {
    const location = locationIn(redis.url, testSpace);
    const keyPrefix = `${location.keyPrefix}:${space}`;
    return new BullQueue({ ...options, redisLocation: { ...location, keyPrefix } });
  });
});
