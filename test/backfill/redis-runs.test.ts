import { once } from 'node:events';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { initialProgress, type BackfillProgress } from '../../src/backfill/backfill-progress.ts';
import { RedisRuns } from '../../src/backfill/redis-runs.ts';
import type { BackfillRequest } from '../../src/backfill/backfill-request.ts';
import { newRun } from '../../src/backfill/runs.ts';
import { connectRedis, endRedis } from '../../src/redis/connection.ts';
import { removeKeys, startRedis, type RedisService } from '../services/redis.ts';

const REQUEST: BackfillRequest = { targets: ['team'], dryRun: false };
const DONE: BackfillProgress = { ...initialProgress(false), state: 'done', published: 3 };

let redis: RedisService;
const open: RedisRuns[] = [];

beforeAll(async () => {
  redis = await startRedis({ own: true });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((runs) => runs.close()));
  await removeKeys(redis.url, '');
});
afterAll(() => redis?.close());

/** Starts one replica of several. */
function replica(): RedisRuns {
  const runs = new RedisRuns({ redisUrl: redis.url, log: pino({ level: 'silent' }), leaseMs: 1_000 });
  open.push(runs);
  return runs;
}

test('lets one replica run what another accepted, and all of them see the progress', async () => {
  const [front, worker, other] = [replica(), replica(), replica()];
  worker.process(async () => DONE);
  const { id } = await front.start(REQUEST);
  await expect.poll(async () => (await other.find(id))?.progress).toMatchObject({ state: 'done', published: 3 });
});

test('merges equal requests until the backfill ends', async () => {
  const [one, two] = [replica(), replica()];
  const first = await one.start(REQUEST);
  expect((await two.start(REQUEST)).id).toBe(first.id);
  expect((await two.start({ ...REQUEST, dryRun: true })).id).not.toBe(first.id);
  one.process(async () => DONE);
  await expect.poll(async () => (await one.find(first.id))?.progress.state).toBe('done');
  expect((await two.start(REQUEST)).id).not.toBe(first.id);
});

test('hands the runs of a stopped replica to another', async () => {
  const [first, second] = [replica(), replica()];
  let begun = 0;
  first.process(async (_request, onProgress, signal) => {
    begun++;
    onProgress({ ...initialProgress(false), state: 'running', published: 1 });
    await new Promise((resolve) => {
      signal.addEventListener('abort', resolve);
    });
    return { ...initialProgress(false), state: 'running', published: 1 };
  });
  const { id } = await second.start(REQUEST);
  await expect.poll(() => begun).toBe(1);
  await first.close();
  expect((await second.find(id))?.progress).toMatchObject({ state: 'running', published: 1 });
  second.process(async () => DONE);
  await expect.poll(async () => (await second.find(id))?.progress.state).toBe('done');
});

test('stores a running backfill again after Redis was emptied', async () => {
  const runs = replica();
  const finish = new AbortController();
  const finished = once(finish.signal, 'abort');
  let begun = false;
  runs.process(async () => {
    begun = true;
    await finished;
    return DONE;
  });
  const { id } = await runs.start(REQUEST);
  await expect.poll(() => begun).toBe(true);
  await removeKeys(redis.url, '');
  await expect.poll(async () => (await runs.find(id)) !== undefined).toBe(true);
  finish.abort();
  await expect.poll(async () => (await runs.find(id))?.progress.state).toBe('done');
});

test('ends a backfill that cannot begin as failed, with the reason', async () => {
  const runs = replica();
  runs.process(async () => {
    throw new Error('GitLab has no group team');
  });
  const { id } = await runs.start(REQUEST);
  await expect
    .poll(async () => (await runs.find(id))?.progress)
    .toMatchObject({ state: 'failed', problem: 'GitLab has no group team' });
});

test('leaves runs of a newer version alone and goes on with the others', async () => {
  const log = pino({ level: 'silent' });
  const raw = connectRedis(redis.url, log);
  const runs = replica();
  // Redis returns the set in an order of its own. With five of them, some come before the run and some after it.
  const foreignIds = Array.from({ length: 5 }, (_, index) => `foreign-${index}`);
  for (const id of foreignIds)
    await raw
      .multi()
      .set(`modpress:backfill:${id}`, JSON.stringify({ id, like: 'nothing of today' }))
      .sadd('modpress:backfills', id)
      .exec();
  const own = { ...newRun({ ...REQUEST, targets: ['late'] }), id: 'own' };
  await raw.multi().set('modpress:backfill:own', JSON.stringify(own)).sadd('modpress:backfills', 'own').exec();
  runs.process(async () => DONE);
  await expect.poll(async () => (await runs.find('own'))?.progress.state).toBe('done');
  expect((await raw.smembers('modpress:backfills')).toSorted()).toEqual(foreignIds);
  endRedis(raw);
});
