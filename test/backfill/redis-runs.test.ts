import { once } from 'node:events';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { notBegun, type BackfillProgress } from '../../src/backfill/backfill-progress.ts';
import { RedisRuns } from '../../src/backfill/redis-runs.ts';
import type { BackfillRequest } from '../../src/backfill/backfill-request.ts';
import { newRun } from '../../src/backfill/runs.ts';
import { connectRedis, endRedis } from '../../src/redis/connection.ts';
import { removeKeys, startRedis, type RedisService } from '../services/redis.ts';

const request: BackfillRequest = { targets: ['team'], dryRun: false };
const done: BackfillProgress = { ...notBegun(false), state: 'done', published: 3 };

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

/** One replica of several. */
function replica(): RedisRuns {
  const runs = new RedisRuns({ redisUrl: redis.url, log: pino({ level: 'silent' }), lockMs: 1_000 });
  open.push(runs);
  return runs;
}

test('what one replica takes is done by another, and seen by all', async () => {
  const [front, worker, other] = [replica(), replica(), replica()];
  worker.process(async () => done);
  const { id } = await front.start(request);
  await expect.poll(async () => (await other.find(id))?.progress).toMatchObject({ state: 'done', published: 3 });
});

test('equal requests fold until it is over', async () => {
  const [one, two] = [replica(), replica()];
  const first = await one.start(request);
  expect((await two.start(request)).id).toBe(first.id);
  expect((await two.start({ ...request, dryRun: true })).id).not.toBe(first.id);
  one.process(async () => done);
  await expect.poll(async () => (await one.find(first.id))?.progress.state).toBe('done');
  expect((await two.start(request)).id).not.toBe(first.id);
});

test('one that is stopped gives what it was at to another', async () => {
  const [first, second] = [replica(), replica()];
  let begun = 0;
  first.process(async (_request, onProgress, signal) => {
    begun++;
    onProgress({ ...notBegun(false), state: 'running', published: 1 });
    await new Promise((resolve) => {
      signal.addEventListener('abort', resolve);
    });
    return { ...notBegun(false), state: 'running', published: 1 };
  });
  const { id } = await second.start(request);
  await expect.poll(() => begun).toBe(1);
  await first.close();
  expect((await second.find(id))?.progress).toMatchObject({ state: 'running', published: 1 });
  second.process(async () => done);
  await expect.poll(async () => (await second.find(id))?.progress.state).toBe('done');
});

test('if Redis is emptied, a run in progress is there again, and ends', async () => {
  const runs = replica();
  const finish = new AbortController();
  const finished = once(finish.signal, 'abort');
  let begun = false;
  runs.process(async () => {
    begun = true;
    await finished;
    return done;
  });
  const { id } = await runs.start(request);
  await expect.poll(() => begun).toBe(true);
  await removeKeys(redis.url, '');
  await expect.poll(async () => (await runs.find(id)) !== undefined).toBe(true);
  finish.abort();
  await expect.poll(async () => (await runs.find(id))?.progress.state).toBe('done');
});

test('one that cannot be begun fails with its reason', async () => {
  const runs = replica();
  runs.process(async () => {
    throw new Error('GitLab has no group team');
  });
  const { id } = await runs.start(request);
  await expect
    .poll(async () => (await runs.find(id))?.progress)
    .toMatchObject({ state: 'failed', problem: 'GitLab has no group team' });
});

test('one that a newer version has begun is left for it, and holds up no other', async () => {
  const log = pino({ level: 'silent' });
  const raw = connectRedis(redis.url, log);
  const runs = replica();
  // The set is read in its own order, so that there are some on either side.
  const strangers = Array.from({ length: 5 }, (_, index) => `stranger-${index}`);
  for (const id of strangers)
    await raw
      .multi()
      .set(`modpress:backfill:${id}`, JSON.stringify({ id, like: 'nothing of today' }))
      .sadd('modpress:backfills', id)
      .exec();
  const own = { ...newRun({ ...request, targets: ['late'] }), id: 'own' };
  await raw.multi().set('modpress:backfill:own', JSON.stringify(own)).sadd('modpress:backfills', 'own').exec();
  runs.process(async () => done);
  await expect.poll(async () => (await runs.find('own'))?.progress.state).toBe('done');
  expect((await raw.smembers('modpress:backfills')).toSorted()).toEqual(strangers);
  endRedis(raw);
});
