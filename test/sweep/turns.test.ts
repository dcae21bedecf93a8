import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { GitLabClient } from '../../src/gitlab/client.ts';
import { MemoryRateLimiter } from '../../src/rate-limit/memory-rate-limiter.ts';
import type { RateLimiter } from '../../src/rate-limit/rate-limiter.ts';
import type { TagJob } from '../../src/queue/tag-job.ts';
import { DiskStore } from '../../src/store/disk.ts';
import { startSweeping, type SweepingParts } from '../../src/sweep/schedule.ts';
import { startGitLab, type StandIn } from '../fake-gitlab/stand-in.ts';
import { pushModule } from './sweeping.ts';

let gitlab: StandIn;
let folder: string;

beforeAll(async () => {
  gitlab = await startGitLab();
  folder = await mkdtemp(join(tmpdir(), 'modpress-sweep-'));
  await pushModule(await gitlab.createProject('alpha/lib'), 'v1.0.0', 'v1.1.0');
});
afterAll(async () => {
  await gitlab.close();
  await rm(folder, { recursive: true, force: true });
});

/** A pace that tells what it was asked for. */
class Watched implements RateLimiter {
  readonly #rateLimiter = new MemoryRateLimiter();
  readonly answers: number[] = [];
  readonly holds: number[] = [];

  async reserve(key: string, limit: number, windowMs: number): Promise<number> {
    const waitMs = await this.#rateLimiter.reserve(key, limit, windowMs);
    this.answers.push(waitMs);
    return waitMs;
  }

  async hold(key: string, ms: number): Promise<void> {
    this.holds.push(ms);
    await this.#rateLimiter.hold(key, ms);
  }
}

async function parts(
  name: string,
  rateLimiter: RateLimiter,
  more: Partial<SweepingParts> = {},
): Promise<SweepingParts> {
  const client = new GitLabClient({
    url: gitlab.url,
    token: gitlab.createToken({ scopes: ['read_api'] }),
    beforeCall: async () => undefined,
  });
  return {
    gitlab: client,
    store: await DiskStore.open(join(folder, name)),
    queue: { add: async () => 'queued', counts: async () => ({ waiting: 0, active: 0, delayed: 0 }) },
    log: pino({ level: 'silent' }),
    scope: [],
    rateLimiter,
    minutes: 60,
    onSwept: () => undefined,
    ...more,
  };
}

test('of several replicas, one sweeps in each period', async () => {
  const rateLimiter = new Watched();
  let sweeps = 0;
  const replicas = await Promise.all(
    ['a', 'b', 'c'].map((name) => parts(name, rateLimiter, { onSwept: () => void sweeps++ })),
  );
  const running = replicas.map((each) => startSweeping(each));
  await expect.poll(() => rateLimiter.answers.length >= 3 && sweeps === 1).toBe(true);
  expect(rateLimiter.answers.filter((waitMs) => waitMs === 0)).toHaveLength(1);
  await Promise.all(running.map((each) => each.stop()));
  expect(sweeps).toBe(1);
});

test('one that waits for room in the queue keeps the others from beginning, and goes on when there is room', async () => {
  const rateLimiter = new Watched();
  const jobs: TagJob[] = [];
  let looks = 0;
  const queue: SweepingParts['queue'] = {
    add: async (job) => {
      jobs.push(job);
      return 'queued';
    },
    counts: async () => ({ waiting: looks++ === 0 ? 5_000 : 0, active: 4, delayed: 0 }),
  };
  let sweeps = 0;
  const sweeping = startSweeping(await parts('full', rateLimiter, { queue, onSwept: () => void sweeps++ }));
  await expect.poll(() => sweeps).toBe(1);
  expect(rateLimiter.holds).toEqual([3_600_000]);
  expect(jobs.map(({ tag }) => tag)).toEqual(['v1.1.0', 'v1.0.0']);
  await sweeping.stop();
});

test('a stop does not wait until a sweep that failed is made again', async () => {
  const fault = gitlab.faults.add({ path: /\/projects/, kind: { status: 403 }, times: 1 });
  let sweeps = 0;
  const sweeping = startSweeping(await parts('failing', new Watched(), { onSwept: () => void sweeps++ }));
  await expect.poll(() => fault.hits).toBe(1);
  await sweeping.stop();
  expect(sweeps).toBe(0);
});
