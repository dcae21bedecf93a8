import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { messageOf } from '../../src/errors.ts';
import { BullQueue } from '../../src/queue/bull-queue.ts';
import type { TagJob } from '../../src/queue/tag-job.ts';
import { parseRedisUrl } from '../../src/redis/location.ts';
import { aJob, idle } from '../queue/contract.ts';
import { startRedisCluster, type RedisCluster } from '../services/redis-cluster.ts';
import { connectTo } from '../services/redis-kinds.ts';
import { startRedisSentinel } from '../services/redis-sentinel.ts';
import type { RedisServer } from '../services/redis-server.ts';
import { until } from '../services/until.ts';

/** A key of modpress on a cluster. All keys of modpress are on the node that holds this key. */
const KEY = '{modpress}:check';

let opened: BullQueue[];
let logged: { event: string; reason?: string }[];

beforeEach(() => {
  opened = [];
  logged = [];
});
afterEach(async () => {
  await Promise.all(opened.map((queue) => queue.close()));
});

const openQueue = (url: string): BullQueue => {
  const log = pino({ level: 'trace' }, { write: (line) => logged.push(JSON.parse(line)) });
  const queue = new BullQueue({ redisLocation: parseRedisUrl(url), lockMs: 1_000, stalledCheckMs: 300, log });
  opened.push(queue);
  return queue;
};
const eventsOf = (event: string): typeof logged => logged.filter((line) => line.event === event);

/** Adds a job as GitLab would if it retried a delivery. Resolves once the queue has accepted the job. */
const addUntilAccepted = async (queue: BullQueue, job: TagJob): Promise<void> =>
  await expect.poll(() => queue.add(job).catch(() => 'rejected'), { timeout: 30_000 }).not.toBe('rejected');

/** Waits until a replica has all writes so far. Without this, a failover may lose the last writes. */
const replicated = async (primary: RedisServer): Promise<void> => {
  const redis = primary.connect();
  try {
    await redis.set(KEY, '1');
    expect(await redis.wait(1, 10_000)).toBe(1);
  } finally {
    redis.disconnect();
  }
};

/**
 * Adds jobs before, during and after a failover, which `failOver` starts, with a worker that works before the failover.
 * Resolves to the tags of all accepted jobs and those of all jobs that ran, once the queue is ready and idle again.
 */
async function addAround(
  url: string,
  primary: RedisServer,
  failOver: () => Promise<void>,
): Promise<{ accepted: string[]; ran: string[] }> {
  const startMs = performance.now();
  const [sink, worker] = [openQueue(url), openQueue(url)];
  const [first, waiting, during, after] = [aJob(), aJob(), aJob(), aJob()];
  const ran = new Set<string>();
  let isOver = false;
  worker.process(2, async ({ tag }) => {
    if (!isOver && tag === waiting.tag) throw new Error('not yet');
    ran.add(tag);
  });
  await sink.add(first);
  await expect.poll(() => ran.has(first.tag)).toBe(true);
  await sink.add(waiting);
  await replicated(primary);
  await failOver();
  await addUntilAccepted(sink, during);
  isOver = true;
  await expect.poll(() => ran.size, { timeout: 30_000 }).toBe(3);
  await addUntilAccepted(sink, after);
  await expect.poll(() => ran.size, { timeout: 20_000 }).toBe(4);
  await sink.check();
  await idle(worker);
  // Nothing is retried without a pause.
  expect(logged.length).toBeLessThan(20 + (20 * (performance.now() - startMs)) / 1_000);
  return { accepted: [first, waiting, during, after].map(({ tag }) => tag), ran: [...ran] };
}

describe('behind a Sentinel', { timeout: 90_000 }, () => {
  test('no accepted job is lost if the primary is killed, and nothing is retried without a pause', async () => {
    await using redis = await startRedisSentinel();
    const sentinel = redis.sentinel.connect();
    const connections = async (): Promise<number> =>
      Number(/total_connections_received:(\d+)/.exec(await sentinel.info('stats'))?.[1]);
    const startMs = performance.now();
    const before = await connections();
    try {
      const { accepted, ran } = await addAround(redis.url, redis.primary, () => redis.primary.stop('SIGKILL'));
      expect(ran.toSorted()).toEqual(accepted.toSorted());
      expect(eventsOf('redis.lost').length).toBeGreaterThan(0);
      await expect.poll(() => eventsOf('redis.restored').length).toBe(eventsOf('redis.lost').length);
      // Each of five connections asks the Sentinel, with a pause that grows to a second.
      const seconds = (performance.now() - startMs) / 1_000;
      expect((await connections()) - before).toBeLessThan(20 + 5 * 5 * seconds);
    } finally {
      sentinel.disconnect();
    }
  });

  test('no accepted job is lost if an operator starts a failover while the primary works', async () => {
    await using redis = await startRedisSentinel();
    const { accepted, ran } = await addAround(redis.url, redis.primary, async () => {
      const [sentinel, replica] = [redis.sentinel.connect(), redis.replica.connect()];
      try {
        await until(() => sentinel.call('SENTINEL', 'FAILOVER', 'the-primary').catch(messageOf), 'OK');
        await until(() => replica.info('replication'), 'role:master');
      } finally {
        for (const connection of [sentinel, replica]) connection.disconnect();
      }
    });
    expect(ran.toSorted()).toEqual(accepted.toSorted());
  });

  test('no accepted job is lost if the primary stops to respond', async () => {
    await using redis = await startRedisSentinel();
    const { pid } = redis.primary;
    const hang = async (): Promise<void> => void process.kill(pid, 'SIGSTOP');
    const { accepted, ran } = await addAround(redis.url, redis.primary, hang);
    expect(ran.toSorted()).toEqual(accepted.toSorted());
    process.kill(pid, 'SIGCONT');
  });

  test('operations fail within seconds with the reason while no server can become the primary', async () => {
    await using redis = await startRedisSentinel();
    const queue = openQueue(redis.url);
    await queue.check();
    await Promise.all([redis.primary.stop('SIGKILL'), redis.replica.stop('SIGKILL')]);
    const startMs = performance.now();
    const results = await Promise.allSettled([queue.add(aJob()), queue.counts(), queue.check()]);
    expect(performance.now() - startMs).toBeLessThan(6_000);
    const { port } = redis.sentinel;
    for (const result of results) {
      expect(result.status).toBe('rejected');
      expect(messageOf('reason' in result && result.reason)).toMatch(
        RegExp(`^the queue in Redis cannot be used: no server of REDIS_URL can be used: 127.0.0.1:${port}: `),
      );
    }
    await Promise.all([redis.primary.start(), redis.replica.start()]);
    await expect.poll(() => queue.check().then(() => 'ready', messageOf), { timeout: 20_000 }).toBe('ready');
  });

  test('a Sentinel that does not respond does not matter while another one does', async () => {
    await using redis = await startRedisSentinel();
    const queue = openQueue(redis.url.replace('//', '//127.0.0.1:1,'));
    expect(await queue.add(aJob())).toBe('queued');
  });

  test('a queue closes while its Sentinel does not respond', async () => {
    await using redis = await startRedisSentinel();
    process.kill(redis.sentinel.pid, 'SIGSTOP');
    try {
      const queue = openQueue(redis.url);
      queue.process(1, async () => {});
      const added = queue.add(aJob());
      const startMs = performance.now();
      await queue.close();
      await expect(added).rejects.toThrow('closed');
      expect(performance.now() - startMs).toBeLessThan(5_000);
    } finally {
      process.kill(redis.sentinel.pid, 'SIGCONT');
    }
  });
});

describe('on a cluster', { timeout: 90_000 }, () => {
  test('no accepted job is lost if the node with the keys is killed', async () => {
    await using cluster = await startRedisCluster({ replicas: true });
    const owner = await cluster.ownerOf(KEY);
    const { accepted, ran } = await addAround(cluster.url, owner, () => owner.stop('SIGKILL'));
    expect(ran.toSorted()).toEqual(accepted.toSorted());
    expect((await cluster.ownerOf(KEY)).port).not.toBe(owner.port);
  });

  test('no accepted job is lost if an operator starts a failover while the node works', async () => {
    await using cluster = await startRedisCluster({ replicas: true });
    const owner = await cluster.ownerOf(KEY);
    const index = cluster.nodes.indexOf(owner);
    const { accepted, ran } = await addAround(cluster.url, owner, async () => {
      const replica = cluster.nodes[index + 3]?.connect();
      await replica?.call('CLUSTER', 'FAILOVER');
      await until(async () => await replica?.info('replication'), 'role:master');
      replica?.disconnect();
    });
    expect(ran.toSorted()).toEqual(accepted.toSorted());
  });

  test('no accepted job is lost if the slot of the keys moves to another node', async () => {
    await using cluster = await startRedisCluster({ replicas: true });
    const owner = await cluster.ownerOf(KEY);
    const target = cluster.nodes.slice(0, 3).find((node) => node !== owner);
    if (target === undefined) throw new Error('there is no other node');
    const { accepted, ran } = await addAround(cluster.url, owner, () => moveSlot(cluster, owner, target));
    expect(ran.toSorted()).toEqual(accepted.toSorted());
    expect(await cluster.ownerOf(KEY)).toBe(target);
  });

  test('operations fail within seconds while the cluster is down, and jobs continue after that', async () => {
    await using cluster = await startRedisCluster();
    const owner = await cluster.ownerOf(KEY);
    const other = cluster.nodes.find((node) => node !== owner);
    const [queue, job] = [openQueue(cluster.url), aJob()];
    await queue.add(job);
    await other?.stop('SIGKILL');
    const redis = owner.connect();
    await until(() => redis.cluster('INFO'), 'cluster_state:fail');
    const startMs = performance.now();
    const results = await Promise.allSettled([queue.add(aJob()), queue.check()]);
    expect(performance.now() - startMs).toBeLessThan(6_000);
    for (const result of results) expect(messageOf('reason' in result && result.reason)).toContain('CLUSTERDOWN');
    await other?.start();
    await until(() => redis.cluster('INFO'), 'cluster_state:ok');
    redis.disconnect();
    const ran: string[] = [];
    queue.process(1, async ({ tag }) => void ran.push(tag));
    await expect.poll(() => ran, { timeout: 20_000 }).toContain(job.tag);
  });

  test('every key is on one node, and a connection finds this node from any node', async () => {
    await using cluster = await startRedisCluster();
    const owner = await cluster.ownerOf(KEY);
    for (const { port } of cluster.nodes) {
      const redis = connectTo(parseRedisUrl(`redis+cluster://127.0.0.1:${port}`));
      try {
        expect(/tcp_port:(\d+)/.exec(await redis.info('server'))?.[1]).toBe(String(owner.port));
      } finally {
        redis.close();
      }
    }
  });

  test('a connection finds the node with the keys while the slot moves to another node', async () => {
    await using cluster = await startRedisCluster();
    const owner = await cluster.ownerOf(KEY);
    const other = cluster.nodes.find((node) => node !== owner);
    const [source, target] = [owner.connect(), other?.connect()];
    if (target === undefined) throw new Error('there is no other node');
    await beginMove(source, target);
    const redis = connectTo(parseRedisUrl(`redis+cluster://127.0.0.1:${owner.port}`));
    try {
      expect(await redis.ping()).toBe('PONG');
    } finally {
      for (const connection of [redis, source, target]) connection.disconnect();
    }
  });
});

/** Moves the slot of the keys with all its keys, as `redis-cli --cluster reshard` does. */
async function moveSlot(cluster: RedisCluster, from: RedisServer, to: RedisServer): Promise<void> {
  const [source, target] = [from.connect(), to.connect()];
  try {
    const slot = await beginMove(source, target);
    for (;;) {
      const keys = (await source.call('CLUSTER', 'GETKEYSINSLOT', slot, 10)) as string[];
      if (keys.length === 0) break;
      await source.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5_000, 'KEYS', ...keys);
    }
    const targetId = String(await target.call('CLUSTER', 'MYID'));
    await target.call('CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
    await source.call('CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
  } finally {
    for (const connection of [source, target]) connection.disconnect();
  }
  await expect.poll(async () => (await cluster.ownerOf(KEY)).port, { timeout: 20_000 }).toBe(to.port);
}

/** Begins to move the slot of the keys. Until the move ends, the source replies ASK for keys that it does not have. */
async function beginMove(source: Redis, target: Redis): Promise<number> {
  const slot = await source.cluster('KEYSLOT', KEY);
  await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(await source.call('CLUSTER', 'MYID')));
  await source.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(await target.call('CLUSTER', 'MYID')));
  return slot;
}
