import { pino } from 'pino';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import { MemoryRateLimiter } from '../../src/rate-limit/memory-rate-limiter.ts';
import type { RateLimiter } from '../../src/rate-limit/rate-limiter.ts';
import type { TagJob } from '../../src/queue/tag-job.ts';
import { DiskStore } from '../../src/store/disk.ts';
import { startSweeping, type SweepScheduleParts } from '../../src/sweep/schedule.ts';
import { openSweepSetup, type SweepSetup } from './fixtures.ts';
import { pushModule } from './sweeping.ts';

let setup: SweepSetup;

beforeAll(async () => {
  setup = await openSweepSetup();
  await pushModule(await setup.gitlab.createProject('alpha/lib'), 'v1.0.0', 'v1.1.0');
});
afterAll(() => setup?.[Symbol.asyncDispose]());

/** A rate limiter that records its waits and the durations of its holds, in ms. */
class RecordingRateLimiter implements RateLimiter {
  readonly #rateLimiter = new MemoryRateLimiter();
  readonly waits: number[] = [];
  readonly holds: number[] = [];

  async reserve(key: string, limit: number, windowMs: number): Promise<number> {
    const waitMs = await this.#rateLimiter.reserve(key, limit, windowMs);
    this.waits.push(waitMs);
    return waitMs;
  }

  async hold(key: string, ms: number): Promise<void> {
    this.holds.push(ms);
    await this.#rateLimiter.hold(key, ms);
  }
}

/** Returns the parts of a replica with an empty store in the folder `name`. */
async function partsOf(
  name: string,
  rateLimiter: RateLimiter,
  overrides: Partial<SweepScheduleParts> = {},
): Promise<SweepScheduleParts> {
  const client = new GitLabClient({
    http: new HttpClient(),
    url: setup.gitlab.url,
    token: setup.gitlab.createToken({ scopes: ['read_api'] }),
    beforeCall: async () => undefined,
  });
  return {
    gitlab: client,
    store: await DiskStore.open(join(setup.folder, name)),
    queue: { add: async () => 'queued', counts: async () => ({ waiting: 0, active: 0, delayed: 0 }) },
    log: pino({ level: 'silent' }),
    scope: [],
    rateLimiter,
    minutes: 60,
    onSwept: () => undefined,
    ...overrides,
  };
}

test('the sweep schedule lets only one of several replicas sweep in each period', async () => {
  const rateLimiter = new RecordingRateLimiter();
  let sweeps = 0;
  const replicas = await Promise.all(
    ['a', 'b', 'c'].map((name) => partsOf(name, rateLimiter, { onSwept: () => void sweeps++ })),
  );
  const running = replicas.map((replica) => startSweeping(replica));
  await expect.poll(() => rateLimiter.waits.length >= 3 && sweeps === 1).toBe(true);
  expect(rateLimiter.waits.filter((waitMs) => waitMs === 0)).toHaveLength(1);
  await Promise.all(running.map((sweeping) => sweeping.stop()));
  expect(sweeps).toBe(1);
});

test('the sweep schedule holds other replicas while it waits for room in the queue, and then continues', async () => {
  const rateLimiter = new RecordingRateLimiter();
  const jobs: TagJob[] = [];
  let counted = 0;
  const queue: SweepScheduleParts['queue'] = {
    add: async (job) => {
      jobs.push(job);
      return 'queued';
    },
    counts: async () => ({ waiting: counted++ === 0 ? 5_000 : 0, active: 4, delayed: 0 }),
  };
  let sweeps = 0;
  const sweeping = startSweeping(await partsOf('full', rateLimiter, { queue, onSwept: () => void sweeps++ }));
  await expect.poll(() => sweeps).toBe(1);
  expect(rateLimiter.holds).toEqual([3_600_000]);
  expect(jobs.map(({ tag }) => tag)).toEqual(['v1.1.0', 'v1.0.0']);
  await sweeping.stop();
});

test('the sweep schedule stops at once, even if it has to repeat a failed sweep', async () => {
  const fault = setup.gitlab.faults.add({ path: /\/projects/, kind: { status: 403 }, times: 1 });
  let sweeps = 0;
  const sweeping = startSweeping(
    await partsOf('failing', new RecordingRateLimiter(), { onSwept: () => void sweeps++ }),
  );
  await expect.poll(() => fault.hits).toBe(1);
  await sweeping.stop();
  expect(sweeps).toBe(0);
});
