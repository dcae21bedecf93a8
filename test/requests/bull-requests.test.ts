import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BullRequests } from '../../src/requests/bull-requests.ts';
import { MAX_WAITING_REQUESTS, RequestFailed } from '../../src/requests/requests.ts';
import { locationIn, REDIS_KINDS, removeKeys, type AnyRedis } from '../services/redis-kinds.ts';
import { startRedis, type RedisService } from '../services/redis.ts';
import {
  answerSchema,
  describeRequests,
  errorLog,
  groupOf,
  keepMs,
  requestSchema,
  subjectsOf,
  type TestAnswer,
  type TestRequest,
} from './contract.ts';

const PREFIX = `test-${randomUUID()}`;
let redis: RedisService;
let client: Redis;

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url);
});
afterAll(async () => {
  client.disconnect();
  await removeKeys(locationIn(redis.url, PREFIX));
  await redis.close();
});

function create(space: string, log = errorLog().log, redisUrl = redis.url): BullRequests<TestRequest, TestAnswer> {
  const location = locationIn(redisUrl, PREFIX);
  return new BullRequests({
    log,
    keepMs,
    groupOf,
    redisLocation: { ...location, keyPrefix: `${location.keyPrefix}:${space}` },
    lockMs: 1_000,
    stalledCheckMs: 300,
    subjectsOf,
    requestSchema,
    answerSchema,
  });
}

describe.each(REDIS_KINDS)('on %s', (_name, start) => {
  let any: AnyRedis;
  beforeAll(async () => {
    any = await start();
  });
  afterAll(async () => {
    await removeKeys(locationIn(any.url, PREFIX));
    await any.close();
  });

  describeRequests(async () => {
    const { log, errors } = errorLog();
    return { requests: create(randomUUID(), log, any.url), errors };
  });
});

describe('requests in Redis', () => {
  let space: string;
  let opened: BullRequests<TestRequest, TestAnswer>[];
  let children: ChildProcess[];
  /** The names in the requests that have reached a handler. */
  let handled: string[];
  /** Lets the handlers `answerWhenReleased` continue. */
  let release: () => void;
  let released: Promise<void>;

  beforeEach(() => {
    space = randomUUID();
    opened = [];
    children = [];
    handled = [];
    released = new Promise((resolve) => (release = resolve));
  });
  afterEach(async () => {
    release();
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(opened.map((requests) => requests.close()));
  });

  const open = (
    ...rest: [log?: ReturnType<typeof errorLog>['log'], redisUrl?: string]
  ): BullRequests<TestRequest, TestAnswer> => {
    const requests = create(space, ...rest);
    opened.push(requests);
    return requests;
  };
  const answerAtOnce = async ({ name }: TestRequest): Promise<TestAnswer> => {
    handled.push(name);
    return { text: name, keepMs: 0 };
  };
  const answerWhenReleased = async (request: TestRequest): Promise<TestAnswer> => {
    const answer = await answerAtOnce(request);
    await released;
    return answer;
  };
  const key = (name: string): string => `${PREFIX}:${space}:${name}`;
  const answerKey = (): string => key('answer:[["name","a"]]');
  const leaseKey = (): string => key('request-lease:[["name","a"]]');
  /** Starts a process whose handler never returns a result. Resolves when the handler has received a request. */
  const startHanging = async (): Promise<ChildProcess> => {
    const script = `
      import { pino } from 'pino';
      import { z } from 'zod';
      import { BullRequests } from './src/requests/bull-requests.ts';
      const options = { log: pino({ level: 'silent' }), keepMs: () => 0, groupOf: () => 'all', subjectsOf: () => [], lockMs: 1_000, stalledCheckMs: 300, requestSchema: z.unknown(), answerSchema: z.unknown() };
      const requests = new BullRequests({ ...options, redisLocation: ${JSON.stringify(locationIn(redis.url, `${PREFIX}:${space}`))} });
      requests.serve(1, () => {
        console.log('handling');
        return new Promise(() => {});
      });`;
    const flags = ['--import', 'tsx', '--input-type=module', '--eval', script];
    const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve());
      child.once('exit', () => reject(new Error('the process ended by itself')));
    });
    return child;
  };

  test('are dropped when all their clients are gone, and keep their place before', async () => {
    const requests = open();
    const gone = new AbortController();
    const dropped = requests.request({ name: 'a' }, 20_000, { signal: gone.signal });
    const kept = requests.request({ name: 'kept' }, 20_000);
    await expect.poll(() => client.exists(leaseKey())).toBe(1);
    gone.abort();
    expect(await dropped).toBeUndefined();
    await expect.poll(() => client.exists(leaseKey())).toBe(0);
    requests.serve(1, answerAtOnce);
    expect(await kept).toMatchObject({ text: 'kept' });
    expect(await requests.request({ name: 'last' }, 20_000)).toMatchObject({ text: 'last' });
    expect(handled).toEqual(['kept', 'last']);
  });

  test('are handled once if several processes send the same request, and all of them get the result', async () => {
    const processes = [open(), open(), open()] as const;
    for (const requests of processes.slice(1)) {
      requests.serve(2, async (request) => ({ ...(await answerAtOnce(request)), keepMs: 60_000 }));
    }
    const sent = processes.flatMap((requests) => [
      requests.request({ name: 'a' }, 10_000),
      requests.request({ name: 'a' }, 10_000),
    ]);
    expect(new Set((await Promise.all(sent)).map((answer) => answer?.text))).toEqual(new Set(['a']));
    expect(handled).toEqual(['a']);
  });

  test('are handled once, even if the handler takes longer than the lease', async () => {
    const [requests, ...answerers] = [open(), open(), open()];
    for (const answerer of answerers) answerer.serve(2, answerWhenReleased);
    const sent = requests?.request({ name: 'a' }, 20_000);
    let [leftMs, renewals] = [0, 0];
    const renewed = async (): Promise<number> => {
      const before = leftMs;
      leftMs = await client.pttl(leaseKey());
      return leftMs > before ? ++renewals : renewals;
    };
    await expect.poll(renewed, { timeout: 20_000, interval: 20 }).toBeGreaterThan(5);
    release();
    expect(await sent).toMatchObject({ text: 'a' });
    expect(handled).toEqual(['a']);
    expect(await client.exists(leaseKey())).toBe(0);
  });

  test('are handled once, even if Bull treats the worker as dead', async () => {
    const [first, second] = [open(), open()];
    for (const requests of [first, second]) requests.serve(1, answerWhenReleased);
    const sent = first.request({ name: 'a' }, 20_000);
    await expect.poll(() => handled).toEqual(['a']);
    const [job] = await client.lrange(key('requests:active'), 0, -1);
    await client.del(key(`requests:${job}:lock`));
    // The other worker takes the job, finds that the lease is held, and ends the job.
    await expect.poll(() => client.llen(key('requests:active')), { timeout: 20_000 }).toBe(0);
    release();
    expect(await sent).toMatchObject({ text: 'a' });
    expect(handled).toEqual(['a']);
  });

  test('are handled by another process if the first process is killed', async () => {
    const requests = open();
    const sent = requests.request({ name: 'a' }, 25_000);
    const child = await startHanging();
    child.removeAllListeners('exit');
    child.kill('SIGKILL');
    open().serve(1, answerAtOnce);
    expect(await sent).toMatchObject({ text: 'a' });
    expect(handled).toEqual(['a']);
  });

  test('are added to the queue again after the queue has lost them', async () => {
    const requests = open();
    expect(await requests.request({ name: 'a' }, 0)).toBeUndefined();
    await client.del(key('requests:wait'));
    requests.serve(1, answerAtOnce);
    expect(await requests.request({ name: 'a' }, 15_000)).toMatchObject({ text: 'a' });
  });

  test('get no result of a worker that was paused and lost its lease', async () => {
    const { log, warnings } = errorLog();
    const requests = open(log);
    requests.serve(1, answerWhenReleased);
    void requests.request({ name: 'a' }, 20_000).catch(() => undefined);
    await expect.poll(() => handled).toEqual(['a']);
    await client.set(leaseKey(), 'another', 'PX', 60_000);
    release();
    await expect.poll(() => warnings).toContain('an answer came too late; another worker now handles the request');
    expect(await client.get(leaseKey())).toBe('another');
    expect(await client.exists(answerKey())).toBe(0);
  });

  for (const [content, text] of [
    ['invalid JSON', '{nonsense'],
    ['another value', '"put"'],
    [
      'a result in the format of another version',
      JSON.stringify({ job: 'x', keepMs: 60_000, stayMs: 60_000, answer: { other: true } }),
    ],
  ] as const) {
    test(`are handled again if Redis contains ${content}, which is logged`, async () => {
      const { log, warnings } = errorLog();
      const requests = open(log);
      requests.serve(1, answerAtOnce);
      await client.set(answerKey(), text, 'PX', 60_000);
      expect(await requests.request({ name: 'a' }, 10_000)).toMatchObject({ text: 'a' });
      expect(warnings).toEqual(['an answer in Redis is invalid and is ignored']);
    });
  }

  test('fail if their new result cannot be read', async () => {
    const requests = open();
    const sent = requests.request({ name: 'a' }, 10_000).catch((error: unknown) => error);
    await expect.poll(() => client.exists(leaseKey())).toBe(1);
    await client.set(answerKey(), 'nonsense', 'PX', 60_000);
    expect(await sent).toBeInstanceOf(RequestFailed);
  });

  test('are rejected while too many requests wait', async () => {
    const requests = open();
    await client.lpush(key('requests:wait'), ...Array.from({ length: MAX_WAITING_REQUESTS }, (_, index) => index));
    await expect(requests.request({ name: 'a' }, 10_000)).rejects.toThrow('too many requests are waiting');
    await client.rpop(key('requests:wait'));
    expect(await requests.request({ name: 'a' }, 0)).toBeUndefined();
    expect(await client.llen(key('requests:wait'))).toBe(MAX_WAITING_REQUESTS);
  });

  test('are handled after a job without data, which is discarded', async () => {
    const { log, warnings } = errorLog();
    const requests = open(log);
    await client.lpush(key('requests:wait'), 'gone');
    requests.serve(1, answerAtOnce);
    expect(await requests.request({ name: 'a' }, 20_000)).toMatchObject({ text: 'a' });
    expect(warnings).toContain('discarded a job without data');
    await expect.poll(() => client.keys(key('requests:gone*'))).toEqual([]);
    await expect.poll(() => client.llen(key('requests:active'))).toBe(0);
  });

  test('leave no key in Redis that does not expire, except the counter of jobs', async () => {
    const requests = open();
    requests.serve(2, async (request) => {
      if (request.name === 'fails') throw new Error('a bug');
      return await answerAtOnce(request);
    });
    await requests.request({ name: 'a' }, 10_000);
    await expect(requests.request({ name: 'fails' }, 10_000)).rejects.toBeInstanceOf(RequestFailed);
    const lasting = async (): Promise<string[]> => {
      const keys = await client.keys(key('*'));
      const left = await Promise.all(keys.map(async (name) => ((await client.pttl(name)) === -1 ? [name] : [])));
      return left.flat();
    };
    // This key is Bull's counter of jobs.
    await expect.poll(lasting).toEqual([key('requests:id')]);
  });
});

describe('requests during an outage of Redis', () => {
  let own: RedisService;
  let opened: BullRequests<TestRequest, TestAnswer>[];

  beforeEach(async () => {
    own = await startRedis({ own: true });
    opened = [];
  });
  afterEach(async () => {
    await Promise.all(opened.map((requests) => requests.close()));
    await own.close();
  });

  const open = (): BullRequests<TestRequest, TestAnswer> => {
    const requests = create('outage', errorLog().log, own.url);
    opened.push(requests);
    return requests;
  };

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    test(`fail after ${signal}, and succeed again once Redis is available`, { timeout: 60_000 }, async () => {
      const requests = open();
      const waiting = open()
        .request({ name: 'no handler' }, 60_000)
        .catch((error: unknown) => error);
      const inspector = new Redis(own.url);
      await expect.poll(() => inspector.llen(`${PREFIX}:outage:requests:wait`)).toBe(1);
      inspector.disconnect();
      await own.stop(signal);
      const startMs = performance.now();
      expect(await waiting).toBeInstanceOf(RequestFailed);
      await expect(requests.request({ name: 'a' }, 60_000)).rejects.toBeInstanceOf(RequestFailed);
      expect(performance.now() - startMs).toBeLessThan(10_000);
      requests.serve(1, echo);
      await own.start();
      await untilAnswered(requests, 'b');
      await own.stop(signal);
      await own.start();
      await untilAnswered(requests, 'c');
    });
  }

  test('fail within a few seconds if Redis accepts connections but does not respond', async () => {
    const requests = open();
    expect(await requests.request({ name: 'a' }, 0)).toBeUndefined();
    const { pid } = own;
    if (pid === undefined) throw new Error('this Redis has no process');
    process.kill(pid, 'SIGSTOP');
    try {
      const startMs = performance.now();
      await expect(requests.request({ name: 'b' }, 60_000)).rejects.toBeInstanceOf(RequestFailed);
      expect(performance.now() - startMs).toBeLessThan(6_000);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  test('close during the outage', async () => {
    const requests = open();
    requests.serve(1, echo);
    await untilAnswered(requests, 'a');
    await own.stop();
    await requests.close();
    opened = [];
    await expect(requests.request({ name: 'a' }, 100)).rejects.toBeInstanceOf(RequestFailed);
  });
});

async function echo({ name }: TestRequest): Promise<TestAnswer> {
  return { text: name, keepMs: 0 };
}

/** Sends requests until one succeeds. */
async function untilAnswered(requests: BullRequests<TestRequest, TestAnswer>, name: string): Promise<void> {
  await expect
    .poll(() => requests.request({ name }, 5_000).catch(() => undefined), { timeout: 25_000 })
    .toMatchObject({ text: name });
}
