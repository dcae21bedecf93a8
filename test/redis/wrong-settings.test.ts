import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { messageOf } from '../../src/errors.ts';
import { BullQueue } from '../../src/queue/bull-queue.ts';
import { parseRedisUrl } from '../../src/redis/location.ts';
import { aJob } from '../queue/contract.ts';
import { openRequests } from './test-requests.ts';
import { startRedisCluster } from '../services/redis-cluster.ts';
import { startRedisSentinel } from '../services/redis-sentinel.ts';
import { startRedisServer, type RedisServer } from '../services/redis-server.ts';

type TestRequests = ReturnType<typeof openRequests>;

let opened: { close(): Promise<void> }[] = [];
let logged: { event: string; level: number; reason: string }[] = [];

afterEach(async () => {
  await Promise.all(opened.map((one) => one.close()));
  [opened, logged] = [[], []];
});

/** Opens what the webhook and the worker use, and what the proxy uses. */
function open(url: string): { queue: BullQueue; requests: TestRequests } {
  const log = pino({ level: 'warn' }, { write: (line) => logged.push(JSON.parse(line)) });
  const options = { redisLocation: parseRedisUrl(url), log };
  const queue = new BullQueue(options);
  const requests = openRequests(options);
  opened.push(queue, requests);
  return { queue, requests };
}

/** Resolves to the errors of all that these do with Redis. */
async function errorsOf(...urls: readonly string[]): Promise<string[]> {
  const errors = urls.map(async (url) => {
    const { queue, requests } = open(url);
    return await Promise.all([
      queue.add(aJob()).then(() => 'added', messageOf),
      queue.check().then(() => 'ready', messageOf),
      requests.check().then(() => 'ready', messageOf),
      requests.request({ name: 'a' }, 0).then(() => 'requested', messageOf),
    ]);
  });
  return (await Promise.all(errors)).flat();
}

/** The expected errors of `errorsOf` for this many URLs. */
function each(advice: string, urls = 1): unknown[] {
  return Array.from({ length: 4 * urls }, () => expect.stringContaining(advice));
}

const USE_CLUSTER = 'this Redis is a node of a cluster: begin REDIS_URL with redis+cluster://';
const PERMISSION = 'the user in REDIS_URL lacks a permission';

describe('the URL of a single server that leads to a node of a cluster', () => {
  test('is never ready, whichever node it is, and the log tells what to do', async () => {
    await using cluster = await startRedisCluster();
    const urls = cluster.nodes.map(({ port }) => `redis://127.0.0.1:${port}`);
    expect(await errorsOf(...urls)).toEqual(each(USE_CLUSTER, 3));
    const misconfigured = logged.filter(({ event }) => event === 'redis.misconfigured');
    // There are two connections to each of the three nodes.
    expect(misconfigured).toHaveLength(6);
    for (const line of misconfigured)
      expect(line).toMatchObject({ level: 50, reason: expect.stringContaining(USE_CLUSTER) });
  });

  test('is never ready, even if the user may not use INFO', async () => {
    await using cluster = await startRedisCluster();
    for (const node of cluster.nodes) await run(node, 'ACL SETUSER me on >secret ~* &* +@all -info');
    const urls = cluster.nodes.map(({ port }) => `redis://me:secret@127.0.0.1:${port}`);
    expect(await errorsOf(...urls)).toEqual(each(USE_CLUSTER, 3));
  });
});

test('the URL of a single server that leads to a replica or to a Sentinel is not ready', async () => {
  await using redis = await startRedisSentinel();
  expect(await errorsOf(`redis://127.0.0.1:${redis.replica.port}`)).toEqual(each('this Redis is a replica'));
  expect(await errorsOf(`redis://127.0.0.1:${redis.sentinel.port}`)).toEqual(
    each('this Redis is a Sentinel: begin REDIS_URL with'),
  );
});

test('the URL of a Sentinel is not ready if the Sentinel does not know the primary, or is none', async () => {
  await using redis = await startRedisSentinel();
  expect(await errorsOf(`redis+sentinel://127.0.0.1:${redis.sentinel.port}/other`)).toEqual(
    each('does not know the primary'),
  );
  expect(await errorsOf(`redis+sentinel://127.0.0.1:${redis.primary.port}/main`)).toEqual(
    each('this Redis is not a Sentinel'),
  );
});

test('a Sentinel has its own user and password', async () => {
  await using redis = await startRedisSentinel();
  await run(redis.sentinel, 'ACL SETUSER me on >its-own ~* &* +@all');
  await run(redis.sentinel, 'ACL SETUSER default resetpass >another');
  const { queue } = open(`${redis.url}?sentinelUsername=me&sentinelPassword=its-own`);
  await queue.check();
  const urls = [`${redis.url}?sentinelPassword=wrong`, redis.url];
  expect(await errorsOf(...urls)).toEqual(each('the password is wrong or missing', 2));
});

describe('a user', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedisServer();
    await run(server, 'ACL SETUSER default resetpass >of-the-default-user');
  });
  afterAll(() => server.close());
  const urlOf = (user: string): string => `redis://${user}@127.0.0.1:${server.port}`;

  test('with a wrong or without a password is not ready', async () => {
    const urls = [urlOf(':wrong'), `redis://127.0.0.1:${server.port}`];
    expect(await errorsOf(...urls)).toEqual(each('the password is wrong or missing', 2));
  });

  test('with a wrong password does not cause a line in the log for each attempt', async () => {
    const admin = server.connect({ password: 'of-the-default-user' });
    const connections = async (): Promise<number> =>
      Number(/total_connections_received:(\d+)/.exec(await admin.info('stats'))?.[1]);
    const before = await connections();
    const { queue } = open(urlOf(':wrong'));
    queue.process(1, async () => {});
    await expect.poll(connections).toBeGreaterThan(before + 15);
    admin.disconnect();
    // There are the connections of the queue, of its worker and of the requests, and the start of the worker.
    expect(logged.length).toBeLessThanOrEqual(4);
    expect(new Set(logged.map(({ event }) => event))).toEqual(new Set(['redis.misconfigured', 'worker.start-failed']));
  });

  test('is not ready without a permission that modpress needs', async () => {
    const rules = {
      'no EVAL': '~* &* +@all -eval',
      'no EVALSHA': '~* &* +@all -evalsha',
      'no transactions': '~* &* +@all -multi',
      'no BRPOPLPUSH, with which a worker waits': '~* &* +@all -brpoplpush',
      'no channels': '~* resetchannels +@all',
      'other keys': '~other:* &* +@all',
      'no writes': '~* &* +@all -@write',
    };
    const results = Object.entries(rules).map(async ([name, rule], index) => {
      await run(server, `ACL SETUSER limited-${index} on >secret ${rule}`, 'of-the-default-user');
      const { queue, requests } = open(urlOf(`limited-${index}:secret`));
      const checks = [queue.check(), requests.check()].map((check) => check.then(() => 'ready', messageOf));
      return [name, await Promise.all(checks)] as const;
    });
    const expected = Array.from({ length: 2 }, () => expect.stringContaining(PERMISSION));
    expect(await Promise.all(results)).toEqual(Object.keys(rules).map((name) => [name, expected]));
  });

  test('without the permission to subscribe is not ready in a process with a worker', async () => {
    await run(server, 'ACL SETUSER limited reset on >secret ~* &* +@all -subscribe', 'of-the-default-user');
    const { queue, requests } = open(urlOf('limited:secret'));
    queue.process(1, async () => {});
    requests.serve(1, async (request) => request);
    for (const one of [queue, requests])
      await expect.poll(() => one.check().then(() => 'ready', messageOf)).toContain(PERMISSION);
    await run(server, 'ACL SETUSER limited +subscribe', 'of-the-default-user');
    for (const one of [queue, requests])
      await expect.poll(() => one.check().then(() => 'ready', messageOf)).toBe('ready');
  });
});

test('during an outage, only the queue is not ready, because the proxy serves published versions', async () => {
  await using server = await startRedisServer();
  const { queue, requests } = open(`redis://127.0.0.1:${server.port}`);
  await server.stop();
  await requests.check();
  expect(await queue.check().then(() => 'ready', messageOf)).toMatch(/cannot be used: connect ECONNREFUSED/);
});

async function run(server: RedisServer, command: string, password?: string): Promise<void> {
  const redis = server.connect(password === undefined ? {} : { password });
  try {
    const [name = '', ...rest] = command.split(' ');
    await redis.call(name, ...rest);
  } finally {
    redis.disconnect();
  }
}
