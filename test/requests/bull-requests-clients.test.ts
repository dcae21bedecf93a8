import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { BullRequests } from '../../src/requests/bull-requests.ts';
import { locationIn } from '../services/redis-kinds.ts';
import { startRedis, type RedisService } from '../services/redis.ts';
import {
  answerSchema,
  errorLog,
  groupOf,
  keepMs,
  requestSchema,
  subjectsOf,
  type TestAnswer,
  type TestRequest,
} from './contract.ts';

/** Longer than any lease of a request whose clients have left. */
const LOCK_MS = 60_000;
const TIMEOUT_MS = 20_000;

let redis: RedisService;
let inspector: Redis;
let opened: BullRequests<TestRequest, TestAnswer>[];

beforeAll(async () => {
  redis = await startRedis({ own: true });
  inspector = new Redis(redis.url);
});
afterAll(async () => {
  inspector.disconnect();
  await redis.close();
});
beforeEach(async () => {
  opened = [];
  await inspector.flushall();
});
afterEach(async () => {
  await Promise.all(opened.map((requests) => requests.close()));
});

function open(): BullRequests<TestRequest, TestAnswer> {
  const options = { log: errorLog().log, keepMs, groupOf, subjectsOf, requestSchema, answerSchema, lockMs: LOCK_MS };
  const requests = new BullRequests({ ...options, redisLocation: locationIn(redis.url, 'test') });
  opened.push(requests);
  return requests;
}

const LEASE = 'test:request-lease:[["name","a"]]';

/** The time for which a waiting request stays in the queue without a client, in ms; negative if it is not there. */
async function leaseMs(): Promise<number> {
  return await inspector.pttl(LEASE);
}

test('a request leaves the queue soon after its last client in the process has left, and not before', async () => {
  const requests = open();
  const [first, second] = [new AbortController(), new AbortController()];
  const sent = [first, second].map(({ signal }) => requests.request({ name: 'a' }, TIMEOUT_MS, { signal }));
  await expect.poll(leaseMs).toBeGreaterThan(LOCK_MS / 2);
  first.abort();
  await sent[0];
  expect(await leaseMs()).toBeGreaterThan(LOCK_MS / 2);
  second.abort();
  await sent[1];
  await expect.poll(leaseMs).toBeLessThan(LOCK_MS / 2);
  await expect.poll(leaseMs).toBeLessThan(0);
});

test('a request stays in its place in the queue if a client in another process waits for it', async () => {
  const leaving = new AbortController();
  const sent = open().request({ name: 'a' }, TIMEOUT_MS, { signal: leaving.signal });
  await expect.poll(leaseMs).toBeGreaterThan(LOCK_MS / 2);
  const other = open();
  const waiting = other.request({ name: 'a' }, TIMEOUT_MS);
  await expect.poll(() => inspector.llen('test:requests:wait')).toBeGreaterThan(0);
  const place = await inspector.get(LEASE);
  leaving.abort();
  await sent;
  await expect.poll(leaseMs).toBeGreaterThan(LOCK_MS / 2);
  expect(await inspector.get(LEASE)).toBe(place);
  other.serve(1, async ({ name }) => ({ text: name, keepMs: 0 }));
  expect(await waiting).toMatchObject({ text: 'a' });
});

test('the clients of a process together look at most about 1,000 times a second for their answers', async () => {
  const requests = open();
  const leaving = new AbortController();
  const sent = Array.from({ length: 2_000 }, () =>
    requests.request({ name: 'a' }, TIMEOUT_MS, { signal: leaving.signal }),
  );
  // In the first seconds, each client looks several times in short intervals.
  await sleep(5_000);
  const before = await looks();
  const started = performance.now();
  await sleep(2_000);
  const perSecond = ((await looks()) - before) / ((performance.now() - started) / 1_000);
  leaving.abort();
  await Promise.all(sent);
  expect(perSecond).toBeLessThan(1_500);
});

/** The number of scripts that Redis has run. */
async function looks(): Promise<number> {
  const calls = /^cmdstat_eval:calls=(\d+)/m.exec(await inspector.info('commandstats'))?.[1];
  return Number(calls);
}
