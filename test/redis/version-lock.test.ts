import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RedisConnection } from '../../src/redis/connection.ts';
import { redisLock } from '../../src/redis/redis-version-lock.ts';
import { memoryLock, type VersionLock } from '../../src/redis/version-lock.ts';
import { connectTo, locationIn, REDIS_KINDS, removeKeys, type AnyRedis } from '../services/redis-kinds.ts';

const NAME = randomUUID();

describe('a lock in memory', () => {
  describeLock(() => [memoryLock()]);
});

describe.each(REDIS_KINDS)('a lock for two processes on %s', (_name, start) => {
  const space = `test-${randomUUID()}`;
  let service: AnyRedis;
  let clients: readonly RedisConnection[];
  beforeAll(async () => {
    service = await start();
    const location = locationIn(service.url, space);
    clients = [connectTo(location), connectTo(location)];
  });
  afterAll(async () => {
    for (const client of clients) client.close();
    await removeKeys(locationIn(service.url, space));
    await service.close();
  });

  describeLock(() => clients.map((client) => redisLock(client, pino({ level: 'silent' }))));
});

/** Tests the promise of every lock. `open` returns the same lock, as each process sees it. */
function describeLock(open: () => readonly VersionLock[]): void {
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
}
