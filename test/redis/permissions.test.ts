import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { initialProgress } from '../../src/backfill/backfill-progress.ts';
import { RedisRuns } from '../../src/backfill/redis-runs.ts';
import { Retry } from '../../src/errors.ts';
import { BullQueue } from '../../src/queue/bull-queue.ts';
import { subjectOf } from '../../src/queue/tag-job.ts';
import { RedisRateLimiter } from '../../src/rate-limit/redis-rate-limiter.ts';
import { RedisConnection } from '../../src/redis/connection.ts';
import { parseRedisUrl } from '../../src/redis/location.ts';
import { redisLock } from '../../src/redis/redis-version-lock.ts';
import { aJob, idle } from '../queue/contract.ts';
import { openRequests } from './test-requests.ts';
import { startRedisCluster } from '../services/redis-cluster.ts';
import { startRedisSentinel } from '../services/redis-sentinel.ts';
import { startRedisServer, type RedisServer } from '../services/redis-server.ts';

/** The users in the documentation: for a server, for a node of a cluster, and for a Sentinel. */
const [serverRules, nodeRules, sentinelRules] = Array.from(
  readFileSync(new URL('../../docs/operations/redis.md', import.meta.url), 'utf8').matchAll(/^ACL SETUSER .*$/gm),
  ([line]) => line,
);

test('the documented permissions are sufficient on a single server', async () => {
  await using server = await startRedisServer();
  await run(server, serverRules);
  expect(await useEverything(`redis://queue-user:password@127.0.0.1:${server.port}`)).toEqual(['job.retried']);
});

test('the documented permissions are sufficient behind a Sentinel', async () => {
  await using redis = await startRedisSentinel();
  for (const server of [redis.primary, redis.replica]) await run(server, serverRules);
  await run(redis.sentinel, sentinelRules);
  const user = 'sentinelUsername=queue-user&sentinelPassword=password';
  expect(await useEverything(`${redis.url.replace('//', '//queue-user:password@')}?${user}`)).toEqual(['job.retried']);
});

test('the documented permissions are sufficient on a cluster', async () => {
  await using cluster = await startRedisCluster();
  for (const node of cluster.nodes) await run(node, nodeRules);
  expect(await useEverything(cluster.url.replace('//', '//queue-user:password@'))).toEqual(['job.retried']);
});

/** Uses every part of modpress that works with Redis. Resolves to the events at the level warn or error. */
async function useEverything(url: string): Promise<string[]> {
  const logged: { event: string }[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => logged.push(JSON.parse(line)) });
  const options = { redisLocation: parseRedisUrl(url), log, lockMs: 300, stalledCheckMs: 100 };
  const [queue, runs] = [new BullQueue(options), new RedisRuns({ ...options, leaseMs: 300 })];
  const requests = openRequests(options);
  const redis = new RedisConnection(options.redisLocation, log);
  try {
    const job = aJob({ priority: 'listed' });
    await queue.add(job);
    expect(await queue.add({ ...job, priority: 'pushed' }, 'a delivery')).toBe('folded');
    const leaseKey = redis.key(`running:${subjectOf(job)}`);
    let attempts = 0;
    queue.process(1, async () => {
      let leftMs = Infinity;
      const isRenewed = async (): Promise<boolean> => leftMs < (leftMs = await redis.pttl(leaseKey));
      await expect.poll(isRenewed, { interval: 20 }).toBe(true);
      if (++attempts === 1) throw new Retry('a failure for the test', { afterMs: 50 });
    });
    await expect.poll(() => attempts).toBe(2);
    await idle(queue);

    requests.serve(1, async (request) => request);
    expect(await requests.request({ name: 'a' }, 10_000)).toEqual({ name: 'a' });
    await requests.invalidate('a');

    runs.process(async () => ({ ...initialProgress(false), state: 'done' }));
    const { id } = await runs.start({ targets: ['team'], dryRun: false });
    await expect.poll(async () => (await runs.find(id))?.progress.state).toBe('done');

    const limiter = new RedisRateLimiter(redis);
    expect(await limiter.reserve('calls', 1, 60_000)).toBe(0);
    expect(await limiter.reserve('calls', 1, 60_000)).toBeGreaterThan(0);
    await limiter.hold('calls', 1);
    expect(await redisLock(redis, log)('a version', async () => 'done')).toBe('done');

    await queue.check();
    await requests.check();
  } finally {
    redis.close();
    await Promise.all([queue.close(), requests.close(), runs.close()]);
  }
  return logged.map(({ event }) => event);
}

async function run(server: RedisServer, command = ''): Promise<void> {
  const redis = server.connect();
  try {
    const [name = '', ...rest] = command.split(' ');
    await redis.call(name, ...rest);
  } finally {
    redis.disconnect();
  }
}
