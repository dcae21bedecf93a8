import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Retry } from '../../src/errors.ts';
import type { BullQueueOptions } from '../../src/queue/bull-job.ts';
import { idOf, subjectOf } from '../../src/queue/tag-job.ts';
import { BullQueue } from '../../src/queue/bull-queue.ts';
import { locationIn, removeKeys } from '../services/redis-kinds.ts';
import { type RedisService, startRedis } from '../services/redis.ts';
import { aJob, deferred, idle } from './contract.ts';

describe('a Bull queue shared by several processes', () => {
  const testPrefix = `test-${randomUUID()}`;
  let service: RedisService;
  let redis: Redis;
  let prefix: string;
  let opened: BullQueue[];
  let children: ChildProcess[];

  beforeAll(async () => {
    service = await startRedis();
    redis = new Redis(service.url);
  });
  afterAll(async () => {
    redis.disconnect();
    await removeKeys(locationIn(service.url, testPrefix));
    await service.close();
  });
  beforeEach(() => {
    prefix = `${testPrefix}:${randomUUID()}`;
    opened = [];
    children = [];
  });
  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(opened.map((queue) => queue.close()));
  });

  const openQueue = (options: Partial<BullQueueOptions> = {}): BullQueue => {
    const queue = new BullQueue({
      redisLocation: locationIn(service.url, prefix),
      log: pino({ level: 'silent' }),
      ...options,
    });
    opened.push(queue);
    return queue;
  };
  const startProcess = (mode: 'hang' | 'once'): ChildProcess => {
    const file = fileURLToPath(new URL('queue-process.ts', import.meta.url));
    const child = fork(file, [service.url, prefix, mode], { execArgv: ['--import', 'tsx'] });
    children.push(child);
    return child;
  };

  it('runs each job in one of the workers', async () => {
    const [sink, first, second] = [openQueue(), openQueue(), openQueue()];
    const ran: string[][] = [[], []];
    first.process(5, async (job) => void ran[0]?.push(job.tag));
    second.process(5, async (job) => void ran[1]?.push(job.tag));
    const tags = Array.from({ length: 1_000 }, (_, index) => `v0.0.${index}`);
    await Promise.all(tags.map((tag) => sink.add(aJob({ tag }))));
    await idle(sink);
    expect(ran[0]?.length).toBeGreaterThan(0);
    expect(ran[1]?.length).toBeGreaterThan(0);
    expect(ran.flat().toSorted()).toEqual(tags.toSorted());
  });

  it('folds a job into an equal job of another process', async () => {
    const [first, second, job] = [openQueue(), openQueue(), aJob()];
    const added = await Promise.all([first, second, first, second].map((queue) => queue.add(job)));
    expect(added.toSorted()).toEqual(['folded', 'folded', 'folded', 'queued']);
  });

  it('never runs two jobs of one tag at the same time, in any worker', async () => {
    const workers = [openQueue(), openQueue()] as const;
    let [running, maxRunning, runs] = [0, 0, 0];
    const delayed = async (): Promise<number> => (await workers[0].counts()).delayed;
    for (const worker of workers) {
      worker.process(2, async () => {
        running += 1;
        maxRunning = Math.max(maxRunning, running);
        // The worker has tried all other jobs while this job ran.
        await expect.poll(delayed, { timeout: 10_000 }).toBe(3 - runs);
        running -= 1;
        runs += 1;
      });
    }
    const tag = 'v1.0.0';
    for (const hint of ['a', 'b', 'c', 'd']) await workers[0].add(aJob({ tag, hint }));
    await expect.poll(() => runs, { timeout: 20_000 }).toBe(4);
    expect(maxRunning).toBe(1);
  });

  it('never runs two jobs of one tag at the same time, even if the first takes longer than the lock lasts', async () => {
    const options = { lockMs: 1_000, stalledCheckMs: 300 };
    const [first, second] = [openQueue(options), openQueue(options)];
    const jobs = ['a', 'b'].map((hint) => aJob({ tag: 'v1.0.0', hint }));
    const [job] = jobs;
    if (job === undefined) throw new Error('there is no job');
    const lockKey = `${prefix}:running:${subjectOf(job)}`;
    let [running, maxRunning] = [0, 0];
    const handler = async (): Promise<void> => {
      running += 1;
      maxRunning = Math.max(maxRunning, running);
      let [leftMs, renewals] = [0, 0];
      const renewed = async (): Promise<number> => {
        const beforeMs = leftMs;
        leftMs = await redis.pttl(lockKey);
        return leftMs > beforeMs ? ++renewals : renewals;
      };
      // The lock is renewed three times while it lasts.
      await expect.poll(renewed, { timeout: 20_000, interval: 20 }).toBeGreaterThan(5);
      running -= 1;
    };
    first.process(2, handler);
    second.process(2, handler);
    for (const each of jobs) await first.add(each);
    await idle(first);
    expect(maxRunning).toBe(1);
  });

  it('does not count a busy tag as a failure', async () => {
    const failures: number[] = [];
    const queue = openQueue({
      backoff: { firstMs: 10, maxMs: 10_000 },
      onFailure: (_job, _error, attempt) => failures.push(attempt),
    });
    const [started, finish] = [deferred(), deferred()];
    let failed = false;
    queue.process(2, async (job) => {
      if (job.hint === 'slow') {
        started.resolve();
        await finish.promise;
      } else if (!failed) {
        failed = true;
        throw new Retry('an outage');
      }
    });
    await queue.add(aJob({ tag: 'v1.0.0', hint: 'slow' }));
    await started.promise;
    await queue.add(aJob({ tag: 'v1.0.0', hint: 'other' }));
    // Bull counts an attempt each time that the tag was busy.
    const key = `${prefix}:publish:${idOf(aJob({ tag: 'v1.0.0', hint: 'other' }))}`;
    await expect
      .poll(async () => Number(await redis.hget(key, 'attemptsMade')), { timeout: 10_000 })
      .toBeGreaterThanOrEqual(2);
    finish.resolve();
    await idle(queue);
    expect(failures).toEqual([1]);
  });

  it('runs the job of a killed process in another process', async () => {
    const queue = openQueue({ lockMs: 1_000, stalledCheckMs: 300 });
    const job = aJob();
    const child = startProcess('hang');
    await queue.add(job);
    expect((await once(child, 'message'))[0]).toBe('started');
    const ran: string[] = [];
    queue.process(1, async ({ tag }) => void ran.push(tag));
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(ran).toEqual([]);
    await expect.poll(() => ran, { timeout: 15_000 }).toEqual([job.tag]);
    await idle(queue);
  });

  it('does not drop a job that has killed many workers', async () => {
    const queue = openQueue({ lockMs: 300, stalledCheckMs: 100 });
    const job = aJob();
    await queue.add(job);
    await redis.hset(`${prefix}:publish:${idOf(job)}`, 'stalledCounter', 1_000);
    // A worker leaves this state if it dies while it runs the job.
    await redis.rpoplpush(`${prefix}:publish:wait`, `${prefix}:publish:active`);
    const ran: string[] = [];
    queue.process(1, async ({ tag }) => void ran.push(tag));
    await expect.poll(() => ran, { timeout: 10_000 }).toEqual([job.tag]);
  });

  it('records its last job as finished before it is closed', async () => {
    await using own = await startRedis({ own: true });
    const redisLocation = locationIn(own.url, prefix);
    const [queue, other] = [openQueue({ redisLocation }), openQueue({ redisLocation })];
    const client = new Redis(own.url);
    try {
      const isWaitingForJobs = async (): Promise<boolean> =>
        String(await client.client('LIST')).includes('cmd=brpoplpush');
      const [started, finish] = [deferred(), deferred()];
      queue.process(2, async () => {
        started.resolve();
        await finish.promise;
      });
      await queue.add(aJob());
      await started.promise;
      await expect.poll(isWaitingForJobs, { timeout: 10_000 }).toBe(true);
      const closing = queue.close();
      // Bull has ended its own connections while the job still runs.
      await expect.poll(isWaitingForJobs, { timeout: 10_000 }).toBe(false);
      finish.resolve();
      await closing;
      expect(await other.counts()).toEqual({ waiting: 0, active: 0, delayed: 0 });
    } finally {
      client.disconnect();
      await Promise.all([queue.close(), other.close()]);
    }
  });

  it('lets its process end after it is closed', async () => {
    const child = startProcess('once');
    const [status, signal] = await once(child, 'exit');
    expect({ status, signal }).toEqual({ status: 0, signal: null });
  });

  it('leaves only keys that expire, and the counter of jobs, when all jobs have finished', async () => {
    const queue = openQueue({ backoff: { firstMs: 1, maxMs: 1 } });
    let failed = false;
    queue.process(1, async () => {
      if (failed) return;
      failed = true;
      throw new Retry('an outage');
    });
    await queue.add(aJob(), 'a delivery');
    await idle(queue);
    await queue.close();
    const keys = await redis.keys(`${prefix}:*`);
    const lasting = (await Promise.all(keys.map(async (key) => [key, await redis.pttl(key)] as const))).filter(
      ([, ms]) => ms < 0,
    );
    expect(lasting.map(([key]) => key)).toEqual([`${prefix}:publish:id`]);
    const delivery = await redis.pttl(`${prefix}:delivery:a%20delivery`);
    expect(delivery).toBeGreaterThan(3_590_000);
    expect(delivery).toBeLessThanOrEqual(3_600_000);
  });

  it('does not record a delivery whose job could not be stored', async () => {
    const [queue, job] = [openQueue(), aJob()];
    // Bull increments this counter first, which fails because of its value.
    await redis.set(`${prefix}:publish:id`, 'not a number');
    await expect(queue.add(job, 'a delivery')).rejects.toThrow(/cannot be used/);
    await redis.del(`${prefix}:publish:id`);
    expect(await queue.add(job, 'a delivery')).toBe('queued');
  });

  it('does not fold a job into a hash without data', async () => {
    const [queue, job] = [openQueue(), aJob()];
    await redis.hset(`${prefix}:publish:${idOf(job)}`, 'processedOn', Date.now());
    expect(await queue.add(job)).toBe('queued');
    const ran: string[] = [];
    queue.process(1, async ({ tag }) => void ran.push(tag));
    await expect.poll(() => ran, { timeout: 10_000 }).toEqual([job.tag]);
  });

  it('discards an id without a job, and accepts this job again afterwards', async () => {
    const queue = openQueue({ lockMs: 300, stalledCheckMs: 100 });
    const [lost, other] = [aJob(), aJob()];
    await redis.lpush(`${prefix}:publish:wait`, idOf(lost));
    const ran: string[] = [];
    queue.process(1, async ({ tag }) => void ran.push(tag));
    await queue.add(other);
    await expect.poll(() => ran, { timeout: 10_000 }).toEqual([other.tag]);
    await idle(queue);
    expect(await redis.exists(`${prefix}:publish:${idOf(lost)}`)).toBe(0);
    expect(await queue.add(lost)).toBe('queued');
    await expect.poll(() => ran, { timeout: 10_000 }).toEqual([other.tag, lost.tag]);
  });
});
