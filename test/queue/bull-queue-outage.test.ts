import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BullQueue } from '../../src/queue/bull-queue.ts';
import { parseRedisUrl } from '../../src/redis/location.ts';
import { type RedisService, startRedis } from '../services/redis.ts';
import { aJob, deferred, idle } from './contract.ts';

describe('a Bull queue during an outage of Redis', () => {
  let service: RedisService;
  let opened: BullQueue[];
  let logged: string[];

  beforeEach(async () => {
    service = await startRedis({ own: true });
    opened = [];
    logged = [];
  });
  afterEach(async () => {
    await Promise.all(opened.map((queue) => queue.close()));
    await service.close();
  });

  const openQueue = (): BullQueue => {
    const log = pino({ level: 'trace' }, { write: (line) => logged.push(line) });
    const queue = new BullQueue({
      redisLocation: parseRedisUrl(service.url),
      lockMs: 1_000,
      stalledCheckMs: 300,
      log,
    });
    opened.push(queue);
    return queue;
  };

  it('rejects operations within a few seconds, and logs the outage once', async () => {
    const queue = openQueue();
    await queue.check();
    await service.stop();
    const start = Date.now();
    const results = await Promise.allSettled([queue.add(aJob(), 'a delivery'), queue.counts(), queue.check()]);
    expect(Date.now() - start).toBeLessThan(6_000);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(logged.filter((line) => line.includes('connection to Redis is lost'))).toHaveLength(1);
  });

  it('rejects each of a thousand jobs within a few seconds', async () => {
    const queue = openQueue();
    await queue.check();
    await service.stop();
    const start = Date.now();
    const results = await Promise.allSettled(Array.from({ length: 1_000 }, () => queue.add(aJob())));
    expect(Date.now() - start).toBeLessThan(6_000);
    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { message: 'the queue in Redis cannot be used' } });
    }
  });

  it('does not record a delivery that it could not accept', async () => {
    const [queue, job] = [openQueue(), aJob()];
    await service.stop();
    await expect(queue.add(job, 'a delivery')).rejects.toThrow(/cannot be used/);
    await service.start();
    await expect
      .poll(() => queue.add(job, 'a delivery').catch(() => 'rejected'), { timeout: 10_000 })
      .not.toBe('rejected');
    const ran: string[] = [];
    queue.process(1, async ({ tag }) => void ran.push(tag));
    await expect.poll(() => ran, { timeout: 10_000 }).toEqual([job.tag]);
    expect(await queue.add(job, 'a delivery')).toBe('folded');
  });

  it('accepts a job that is added during a short outage', async () => {
    const queue = openQueue();
    await queue.check();
    await service.stop();
    const added = queue.add(aJob());
    await service.start();
    expect(await added).toBe('queued');
  });

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    it(`continues after restarts by ${signal}`, { timeout: 60_000 }, async () => {
      const queue = openQueue();
      const done = new Set<string>();
      queue.process(5, async ({ tag }) => void done.add(tag));
      const expected = new Set<string>();
      for (let round = 0; round < 3; round++) {
        const job = aJob();
        await expect.poll(() => queue.add(job).catch(() => 'rejected'), { timeout: 10_000 }).not.toBe('rejected');
        expected.add(job.tag);
        await expect.poll(() => done, { timeout: 20_000 }).toEqual(expected);
        await idle(queue);
        await service.stop(signal);
        await service.start();
      }
    });
  }

  it('finishes a job that ran through a restart', async () => {
    const queue = openQueue();
    const [started, finish] = [deferred(), deferred()];
    let runs = 0;
    queue.process(1, async () => {
      runs += 1;
      started.resolve();
      await finish.promise;
    });
    await queue.add(aJob());
    await started.promise;
    await service.stop();
    await service.start();
    finish.resolve();
    await idle(queue);
    expect(runs).toBeGreaterThan(0);
  });

  it('starts to run jobs when Redis is available, if it was not available at the start', async () => {
    await service.stop();
    const queue = openQueue();
    const ran: string[] = [];
    queue.process(1, async ({ tag }) => void ran.push(tag));
    await service.start();
    const job = aJob();
    await expect.poll(() => queue.add(job).catch(() => 'rejected'), { timeout: 10_000 }).not.toBe('rejected');
    await expect.poll(() => ran, { timeout: 20_000 }).toEqual([job.tag]);
  });

  it('continues with new jobs after Redis has lost all data', async () => {
    const queue = openQueue();
    const [started, finish] = [deferred(), deferred()];
    const ran: string[] = [];
    queue.process(2, async ({ tag }) => {
      ran.push(tag);
      started.resolve();
      await finish.promise;
    });
    const [lost, next] = [aJob(), aJob()];
    await queue.add(lost, 'a delivery');
    await started.promise;
    await flush(service.url);
    expect(await queue.add(next, 'a delivery')).toBe('queued');
    finish.resolve();
    await expect.poll(() => ran, { timeout: 10_000 }).toEqual([lost.tag, next.tag]);
    await idle(queue);
    expect(await queue.add(lost)).toBe('queued');
    await expect.poll(() => ran, { timeout: 10_000 }).toEqual([lost.tag, next.tag, lost.tag]);
  });

  it('closes during the outage once its job has ended', async () => {
    const queue = openQueue();
    const [started, finish] = [deferred(), deferred()];
    let ended = false;
    queue.process(1, async () => {
      started.resolve();
      await finish.promise;
      ended = true;
    });
    await queue.add(aJob({ hint: randomUUID() }));
    await started.promise;
    await service.stop();
    const closing = queue.close();
    // This wait is longer than close() waits for Redis. close() waits for a running job without a limit.
    expect(await Promise.race([closing, sleep(6_000, 'still waiting')])).toBe('still waiting');
    finish.resolve();
    await closing;
    expect(ended).toBe(true);
  });

  it('closes even if Redis was never available', async () => {
    await service.stop();
    const queue = openQueue();
    queue.process(1, async () => {});
    await queue.close();
    await expect(queue.add(aJob())).rejects.toThrow(/closed/);
  });
});

async function flush(url: string): Promise<void> {
  const redis = new Redis(url);
  await redis.flushall();
  redis.disconnect();
}
