import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { messageOf } from '../../src/errors.ts';
import { createTrust } from '../../src/http-client/certificates.ts';
import { BullQueue } from '../../src/queue/bull-queue.ts';
import { parseRedisUrl } from '../../src/redis/location.ts';
import { aJob } from '../queue/contract.ts';
import { createCertificates, type Certificates } from '../services/certificates.ts';
import { startRedisCluster } from '../services/redis-cluster.ts';
import type { AnyRedis } from '../services/redis-kinds.ts';
import { startRedisSentinel } from '../services/redis-sentinel.ts';
import { startRedisServer } from '../services/redis-server.ts';

let certificates: Certificates;
let opened: BullQueue[] = [];
let logged: { event: string; level: number; reason: string }[] = [];

beforeAll(async () => {
  certificates = await createCertificates();
});
afterAll(() => certificates[Symbol.asyncDispose]());
afterEach(async () => {
  await Promise.all(opened.map((queue) => queue.close()));
  [opened, logged] = [[], []];
});

function openQueue(url: string, ca?: readonly string[]): BullQueue {
  const log = pino({ level: 'warn' }, { write: (line) => logged.push(JSON.parse(line)) });
  const queue = new BullQueue({ redisLocation: parseRedisUrl(url, ca && (() => createTrust(ca, {}))), log });
  opened.push(queue);
  return queue;
}

async function startSingle(): Promise<AnyRedis> {
  const server = await startRedisServer({ certificates });
  return { url: `rediss://localhost:${server.port}`, close: () => server.close() };
}

describe.each([
  ['a single server', startSingle],
  ['a server behind a Sentinel', () => startRedisSentinel({ certificates })],
  ['a cluster', () => startRedisCluster({ certificates })],
] as const)('TLS to %s', (_name, start) => {
  let redis: AnyRedis;
  beforeAll(async () => {
    redis = await start();
  });
  afterAll(() => redis.close());

  test('works with the certificate of the CA', async () => {
    expect(redis.url).toMatch(/^rediss/);
    const [queue, job] = [openQueue(redis.url, [certificates.ca]), aJob()];
    await queue.check();
    await queue.add(job);
    const ran: string[] = [];
    queue.process(1, async ({ tag }) => void ran.push(tag));
    await expect.poll(() => ran).toEqual([job.tag]);
    expect(logged).toEqual([]);
  });

  test('fails without this certificate, and the error and the log tell what to do', async () => {
    const queue = openQueue(redis.url);
    const advice = /the certificate of Redis is not trusted: set CA_FILE to a PEM file .*: self-signed certificate/;
    expect(await queue.check().then(() => 'ready', messageOf)).toMatch(advice);
    expect(await queue.add(aJob()).then(() => 'added', messageOf)).toMatch(advice);
    expect(logged).toMatchObject([{ event: 'redis.misconfigured', level: 50, reason: expect.stringMatching(advice) }]);
  });

  test('fails if the server is reached without TLS', async () => {
    const queue = openQueue(redis.url.replace('rediss', 'redis'));
    await expect(queue.check()).rejects.toThrow('the queue in Redis cannot be used');
  });
});

test('TLS to a server whose certificate has another name fails, and the error tells what to do', async () => {
  await using other = await createCertificates('DNS:redis.example');
  await using server = await startRedisServer({ certificates: other, serverName: 'redis.example' });
  const queue = openQueue(`rediss://127.0.0.1:${server.port}`, [other.ca]);
  expect(await queue.check().then(() => 'ready', messageOf)).toContain('the certificate of Redis is for other names');
});
