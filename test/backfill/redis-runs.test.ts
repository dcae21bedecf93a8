import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { initialProgress, type BackfillProgress } from '../../src/backfill/backfill-progress.ts';
import { RedisRuns } from '../../src/backfill/redis-runs.ts';
import type { BackfillRequest } from '../../src/backfill/backfill-request.ts';
import { newRun } from '../../src/backfill/runs.ts';
import type { RedisLocation } from '../../src/redis/location.ts';
import { connectTo, locationIn, REDIS_KINDS, removeKeys, type AnyRedis } from '../services/redis-kinds.ts';

const REQUEST: BackfillRequest = { targets: ['team'], dryRun: false };
const DONE: BackfillProgress = { ...initialProgress(false), state: 'done', published: 3 };

describe.each(REDIS_KINDS)('backfills on %s', (_name, start) => {
  let redis: AnyRedis;
  let location: RedisLocation;
  let replicas: RedisRuns[] = [];
  beforeAll(async () => {
    redis = await start();
    location = locationIn(redis.url, `test-${randomUUID()}`);
  });
  afterEach(async () => {
    await Promise.all(replicas.map((runs) => runs.close()));
    replicas = [];
    await removeKeys(location);
  });
  afterAll(() => redis.close());

  /** Starts one replica of several. */
  const startReplica = (): RedisRuns => {
    const runs = new RedisRuns({ redisLocation: location, log: pino({ level: 'silent' }), leaseMs: 1_000 });
    replicas.push(runs);
    return runs;
  };

  test('runs a backfill on any replica, and every replica can read its progress', async () => {
    const [front, worker, other] = [startReplica(), startReplica(), startReplica()];
    worker.process(async () => DONE);
    const { id } = await front.start(REQUEST);
    await expect.poll(async () => (await other.find(id))?.progress).toMatchObject({ state: 'done', published: 3 });
  });

  test('merges equal requests until the backfill ends', async () => {
    const [one, two] = [startReplica(), startReplica()];
    const first = await one.start(REQUEST);
    expect((await two.start(REQUEST)).id).toBe(first.id);
    expect((await two.start({ ...REQUEST, dryRun: true })).id).not.toBe(first.id);
    one.process(async () => DONE);
    await expect.poll(async () => (await one.find(first.id))?.progress.state).toBe('done');
    expect((await two.start(REQUEST)).id).not.toBe(first.id);
  });

  test('continues the runs of a stopped replica on another replica', async () => {
    const [first, second] = [startReplica(), startReplica()];
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
    const runs = startReplica();
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
    await removeKeys(location);
    await expect.poll(async () => (await runs.find(id)) !== undefined).toBe(true);
    finish.abort();
    await expect.poll(async () => (await runs.find(id))?.progress.state).toBe('done');
  });

  test('ends a backfill that cannot begin as failed, with the reason', async () => {
    const runs = startReplica();
    runs.process(async () => {
      throw new Error('GitLab has no group team');
    });
    const { id } = await runs.start(REQUEST);
    await expect
      .poll(async () => (await runs.find(id))?.progress)
      .toMatchObject({ state: 'failed', problem: 'GitLab has no group team' });
  });

  test('does not change runs of a newer version, and processes the other runs', async () => {
    const raw = connectTo(location);
    const runs = startReplica();
    // Redis returns a set in any order. With five foreign runs, some come before the own run and some after it.
    const foreignIds = Array.from({ length: 5 }, (_, index) => `foreign-${index}`);
    for (const id of foreignIds)
      await raw
        .multi()
        .set(raw.key(`backfill:${id}`), JSON.stringify({ id, like: 'nothing of today' }))
        .sadd(raw.key('backfills'), id)
        .exec();
    const own = { ...newRun({ ...REQUEST, targets: ['late'] }), id: 'own' };
    await raw.multi().set(raw.key('backfill:own'), JSON.stringify(own)).sadd(raw.key('backfills'), 'own').exec();
    runs.process(async () => DONE);
    await expect.poll(async () => (await runs.find('own'))?.progress.state).toBe('done');
    expect((await raw.smembers(raw.key('backfills'))).toSorted()).toEqual(foreignIds);
    raw.close();
  });
});
