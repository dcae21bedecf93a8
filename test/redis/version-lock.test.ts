import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { redisLock } from '../../src/redis/redis-version-lock.ts';
import { memoryLock, type VersionLock } from '../../src/redis/version-lock.ts';
import { removeKeys, startRedis, type RedisService } from '../services/redis.ts';

const NAME = randomUUID();
let service: RedisService;
let clients: readonly [Redis, Redis];

beforeAll(async () => {
  service = await startRedis();
  clients = [new Redis(service.url), new Redis(service.url)];
});
afterAll(async () => {
  for (const client of clients) client.disconnect();
  await removeKeys(service.url, `modpress:version:${NAME}`);
  await service.close();
});

describe.each([
  ['in memory', (): readonly VersionLock[] => [memoryLock()]],
  [
    'in Redis, for two processes',
    (): readonly VersionLock[] => clients.map((client) => redisLock(client, pino({ level: 'silent' }))),
  ],
])('a lock %s', (_, open) => {
  test('admits one caller at a time for a name, even after a failure, and other names at once', async () => {
    const locks = open();
    const through = async <T>(index: number, name: string, work: () => Promise<T>): Promise<T> => {
      const lock = locks[index % locks.length];
      if (!lock) throw new Error('there is no lock');
      return await lock(name, work);
    };
    let inside = 0;
    let most = 0;
    const work = async (fails: boolean): Promise<string> => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
      if (fails) throw new Error('a failure for the test');
      return 'done';
    };
    const results = await Promise.allSettled(
      Array.from({ length: 6 }, (_unused, index) => through(index, NAME, () => work(index % 3 === 0))),
    );
    expect(results.map(({ status }) => status)).toEqual([
      'rejected',
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
    ]);
    expect(most).toBe(1);

    const order: string[] = [];
    await through(0, NAME, async () => order.push(await through(1, `${NAME} other`, async () => 'another name')));
    expect(order).toEqual(['another name']);
  });
});
