import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BullRequests } from '../../src/requests/bull-requests.ts';
import { MAX_WAITING, RequestFailed } from '../../src/requests/requests.ts';
import { removeKeys, startRedis, type RedisService } from '../services/redis.ts';
import {
  onDemandAnswerSchema,
  describeQuestions,
  errorLog,
  keepMs,
  onDemandRequestSchema,
  type Answer,
  type Question,
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
  await removeKeys(redis.url, PREFIX);
  await redis.close();
});

function create(space: string, log = errorLog().log, redisUrl = redis.url): BullRequests<Question, Answer> {
  const prefix = `${PREFIX}:${space}`;
  return new BullRequests({
    log,
    keepMs,
    redisUrl,
    prefix,
    lockMs: 1_000,
    stalledCheckMs: 300,
    question: onDemandRequestSchema,
    answer: onDemandAnswerSchema,
  });
}

describeQuestions(async () => {
  const { log, errors } = errorLog();
  return { questions: create(randomUUID(), log), errors };
});

describe('questions in Redis', () => {
  let space: string;
  let opened: BullRequests<Question, Answer>[];
  let children: ChildProcess[];
  /** The names that handlers were asked about. */
  let handled: string[];
  /** Lets the handlers of `holdingBack` go on. */
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
    await Promise.all(opened.map((questions) => questions.close()));
  });

  const open = (
    ...rest: [log?: ReturnType<typeof errorLog>['log'], redisUrl?: string]
  ): BullRequests<Question, Answer> => {
    const questions = create(space, ...rest);
    opened.push(questions);
    return questions;
  };
  const answering = async ({ name }: Question): Promise<Answer> => {
    handled.push(name);
    return { text: name, keepMs: 0 };
  };
  const holdingBack = async (question: Question): Promise<Answer> => {
    const answer = await answering(question);
    await released;
    return answer;
  };
  const key = (name: string): string => `${PREFIX}:${space}:${name}`;
  const answerKey = (): string => key('answer:[["name","a"]]');
  const leaseKey = (): string => key('asked:[["name","a"]]');
  /** Ends when the process that it starts is asked a question, which it never answers. */
  const startHanging = async (): Promise<ChildProcess> => {
    const script = `
      import { pino } from 'pino';
      import { z } from 'zod';
      import { BullRequests } from '../queue/src/queue/bull-questions.ts';
      const options = { log: pino({ level: 'silent' }), keepMs: () => 0, lockMs: 1_000, stalledCheckMs: 300, question: z.unknown(), answer: z.unknown() };
      const questions = new BullRequests({ ...options, redisUrl: ${JSON.stringify(redis.url)}, prefix: ${JSON.stringify(`${PREFIX}:${space}`)} });
      questions.answer(1, () => {
        console.log('asked');
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

  test('are handled once and answered everywhere, whichever process asks and whichever answers', async () => {
    const processes = [open(), open(), open()] as const;
    for (const questions of processes.slice(1)) {
      questions.answer(2, async (question) => ({ ...(await answering(question)), keepMs: 60_000 }));
    }
    const asked = processes.flatMap((questions) => [
      questions.ask({ name: 'a' }, 10_000),
      questions.ask({ name: 'a' }, 10_000),
    ]);
    expect(new Set((await Promise.all(asked)).map((answer) => answer?.text))).toEqual(new Set(['a']));
    expect(handled).toEqual(['a']);
  });

  test('that take longer than the lease are handled once', async () => {
    const [requests, ...answerers] = [open(), open(), open()];
    for (const answerer of answerers) answerer.answer(2, holdingBack);
    const asked = requests?.ask({ name: 'a' }, 20_000);
    let [leftMs, renewals] = [0, 0];
    const renewed = async (): Promise<number> => {
      const before = leftMs;
      leftMs = await client.pttl(leaseKey());
      return leftMs > before ? ++renewals : renewals;
    };
    await expect.poll(renewed, { timeout: 20_000, interval: 20 }).toBeGreaterThan(5);
    release();
    expect(await asked).toMatchObject({ text: 'a' });
    expect(handled).toEqual(['a']);
    expect(await client.exists(leaseKey())).toBe(0);
  });

  test('are handled once although Bull takes the one who is at them for dead', async () => {
    const [first, second] = [open(), open()];
    for (const questions of [first, second]) questions.answer(1, holdingBack);
    const asked = first.ask({ name: 'a' }, 20_000);
    await expect.poll(() => handled).toEqual(['a']);
    const [job] = await client.lrange(key('questions:active'), 0, -1);
    await client.del(key(`questions:${job}:lock`));
    // The other one takes it, sees that it is being worked on, and is done with it.
    await expect.poll(() => client.llen(key('questions:active')), { timeout: 20_000 }).toBe(0);
    release();
    expect(await asked).toMatchObject({ text: 'a' });
    expect(handled).toEqual(['a']);
  });

  test('are answered by another when the process that works on them is killed', async () => {
    const requests = open();
    const asked = requests.ask({ name: 'a' }, 25_000);
    const child = await startHanging();
    child.removeAllListeners('exit');
    child.kill('SIGKILL');
    open().answer(1, answering);
    expect(await asked).toMatchObject({ text: 'a' });
    expect(handled).toEqual(['a']);
  });

  test('are put again when they got lost on their way', async () => {
    const questions = open();
    expect(await questions.ask({ name: 'a' }, 0)).toBeUndefined();
    await client.del(key('questions:wait'));
    questions.answer(1, answering);
    expect(await questions.ask({ name: 'a' }, 15_000)).toMatchObject({ text: 'a' });
  });

  test('are left to whoever has taken them from a process that stood still', async () => {
    const { log, warnings } = errorLog();
    const questions = open(log);
    questions.answer(1, holdingBack);
    void questions.ask({ name: 'a' }, 20_000).catch(() => undefined);
    await expect.poll(() => handled).toEqual(['a']);
    await client.set(leaseKey(), 'another', 'PX', 60_000);
    release();
    await expect.poll(() => warnings).toContain('an answer came too late: the question was put again');
    expect(await client.get(leaseKey())).toBe('another');
    expect(await client.exists(answerKey())).toBe(0);
  });

  for (const [what, text] of [
    ['no JSON', '{nonsense'],
    ['something else', '"put"'],
    [
      'an answer of another version',
      JSON.stringify({ job: 'x', keepMs: 60_000, stayMs: 60_000, answer: { other: true } }),
    ],
  ] as const) {
    test(`are asked anew where there is ${what}, which is logged`, async () => {
      const { log, warnings } = errorLog();
      const questions = open(log);
      questions.answer(1, answering);
      await client.set(answerKey(), text, 'PX', 60_000);
      expect(await questions.ask({ name: 'a' }, 10_000)).toMatchObject({ text: 'a' });
      expect(warnings).toEqual(['an answer in Redis cannot be read and counts as not there']);
    });
  }

  test('fail when it is the new answer that cannot be read', async () => {
    const questions = open();
    const asked = questions.ask({ name: 'a' }, 10_000).catch((error: unknown) => error);
    await expect.poll(() => client.exists(leaseKey())).toBe(1);
    await client.set(answerKey(), 'nonsense', 'PX', 60_000);
    expect(await asked).toBeInstanceOf(RequestFailed);
  });

  test('are refused when too many wait', async () => {
    const questions = open();
    await client.lpush(key('questions:wait'), ...Array.from({ length: MAX_WAITING }, (_, index) => index));
    await expect(questions.ask({ name: 'a' }, 10_000)).rejects.toThrow('too many questions wait');
    await client.rpop(key('questions:wait'));
    expect(await questions.ask({ name: 'a' }, 0)).toBeUndefined();
    expect(await client.llen(key('questions:wait'))).toBe(MAX_WAITING);
  });

  test('are answered although Bull hands out a job that is gone, of which nothing stays', async () => {
    const { log, warnings } = errorLog();
    const questions = open(log);
    await client.lpush(key('questions:wait'), 'gone');
    questions.answer(1, answering);
    expect(await questions.ask({ name: 'a' }, 20_000)).toMatchObject({ text: 'a' });
    expect(warnings).toContain('a job without data is discarded');
    await expect.poll(() => client.keys(key('questions:gone*'))).toEqual([]);
    await expect.poll(() => client.llen(key('questions:active'))).toBe(0);
  });

  test('leave nothing in Redis that does not run out', async () => {
    const questions = open();
    questions.answer(2, async (question) => {
      if (question.name === 'fails') throw new Error('a bug');
      return await answering(question);
    });
    await questions.ask({ name: 'a' }, 10_000);
    await expect(questions.ask({ name: 'fails' }, 10_000)).rejects.toBeInstanceOf(RequestFailed);
    const lasting = async (): Promise<string[]> => {
      const keys = await client.keys(key('*'));
      const left = await Promise.all(keys.map(async (name) => ((await client.pttl(name)) === -1 ? [name] : [])));
      return left.flat();
    };
    // Bull counts its jobs.
    await expect.poll(lasting).toEqual([key('questions:id')]);
  });
});

describe('questions whose Redis goes away', () => {
  let own: RedisService;
  let opened: BullRequests<Question, Answer>[];

  beforeEach(async () => {
    own = await startRedis({ own: true });
    opened = [];
  });
  afterEach(async () => {
    await Promise.all(opened.map((questions) => questions.close()));
    await own.close();
  });

  const open = (): BullRequests<Question, Answer> => {
    const questions = create('outage', errorLog().log, own.url);
    opened.push(questions);
    return questions;
  };

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    test(
      `fail after ${signal}, also those that wait, and are answered when it is back`,
      { timeout: 60_000 },
      async () => {
        const questions = open();
        const waiting = open()
          .ask({ name: 'nobody answers' }, 60_000)
          .catch((error: unknown) => error);
        const look = new Redis(own.url);
        await expect.poll(() => look.llen(`${PREFIX}:outage:questions:wait`)).toBe(1);
        look.disconnect();
        await own.stop(signal);
        const startMs = performance.now();
        expect(await waiting).toBeInstanceOf(RequestFailed);
        await expect(questions.ask({ name: 'a' }, 60_000)).rejects.toBeInstanceOf(RequestFailed);
        expect(performance.now() - startMs).toBeLessThan(10_000);
        questions.answer(1, repeating);
        await own.start();
        await answered(questions, 'b');
        await own.stop(signal);
        await own.start();
        await answered(questions, 'c');
      },
    );
  }

  test('fail within a few seconds when it is there but does not answer', async () => {
    const questions = open();
    expect(await questions.ask({ name: 'a' }, 0)).toBeUndefined();
    const { pid } = own;
    if (pid === undefined) throw new Error('this Redis has no process');
    process.kill(pid, 'SIGSTOP');
    try {
      const startMs = performance.now();
      await expect(questions.ask({ name: 'b' }, 60_000)).rejects.toBeInstanceOf(RequestFailed);
      expect(performance.now() - startMs).toBeLessThan(6_000);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  test('are closed although it is gone', async () => {
    const questions = open();
    questions.answer(1, repeating);
    await answered(questions, 'a');
    await own.stop();
    await questions.close();
    opened = [];
    await expect(questions.ask({ name: 'a' }, 100)).rejects.toBeInstanceOf(RequestFailed);
  });
});

async function repeating({ name }: Question): Promise<Answer> {
  return { text: name, keepMs: 0 };
}

/** Asks until there is an answer. */
async function answered(questions: BullRequests<Question, Answer>, name: string): Promise<void> {
  await expect
    .poll(() => questions.ask({ name }, 5_000).catch(() => undefined), { timeout: 25_000 })
    .toMatchObject({ text: name });
}
