import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Redis } from 'ioredis';
import { BullQuestions } from '../../src/queue/bull-questions.ts';
import { QuestionFailed } from '../../src/queue/questions.ts';
import { removeKeys, startRedis, type RedisService } from '../services/redis.ts';
import { answerSchema, describeQuestions, errorLog, keepMs, questionSchema } from './questions-contract.ts';

const PREFIX = `test-${randomUUID()}`;
let redis: RedisService;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await removeKeys(redis.url, PREFIX);
  await redis.close();
});

function open(space: string, log = errorLog().log, redisUrl = redis.url) {
  const prefix = `${PREFIX}:${space}`;
  return new BullQuestions({ log, keepMs, redisUrl, prefix, lockMs: 1_000, stalledCheckMs: 300, question: questionSchema, answer: answerSchema });
}

describeQuestions(async () => {
  const { log, errors } = errorLog();
  return { questions: open(randomUUID(), log), errors };
});

describe('questions in Redis', () => {
  test('are handled once and answered everywhere, whichever process asks and whichever answers', async () => {
    const space = randomUUID();
    const processes = [open(space), open(space), open(space)] as const;
    const handled: string[] = [];
    for (const questions of processes.slice(1)) {
      questions.answer(2, async ({ name }) => {
        handled.push(name);
        return { text: name, keepMs: 60_000 };
      });
    }
    const asked = processes.flatMap((questions) => [questions.ask({ name: 'a' }, 10_000), questions.ask({ name: 'a' }, 10_000)]);
    expect(new Set((await Promise.all(asked)).map((answer) => answer?.text))).toEqual(new Set(['a']));
    expect(handled).toEqual(['a']);
    await Promise.all(processes.map((questions) => questions.close()));
  });

  test('outlive the process that works on them', async () => {
    const space = randomUUID();
    const asker = open(space);
    // As a process leaves it that has died: the question is taken, and nobody is at it any more.
    const client = new Redis(redis.url);
    await client.set(`${PREFIX}:${space}:asked:[["name","a"]]`, 'a job that is gone', 'PX', 700);
    client.disconnect();
    const answerer = open(space);
    answerer.answer(1, async ({ name }) => ({ text: name, keepMs: 0 }));
    expect(await asker.ask({ name: 'a' }, 15_000)).toMatchObject({ text: 'a' });
    await Promise.all([asker.close(), answerer.close()]);
  });

  test('fail while Redis is away, and are answered when it is back', async () => {
    await using own = await startRedis({ own: true });
    const questions = open(randomUUID(), errorLog().log, own.url);
    questions.answer(1, async ({ name }) => ({ text: name, keepMs: 0 }));
    expect(await questions.ask({ name: 'a' }, 10_000)).toMatchObject({ text: 'a' });
    await own.stop();
    await expect(questions.ask({ name: 'b' }, 10_000)).rejects.toBeInstanceOf(QuestionFailed);
    await own.start();
    await expect.poll(() => questions.ask({ name: 'c' }, 5_000).catch(() => undefined), { timeout: 20_000 }).toMatchObject({ text: 'c' });
    await questions.close();
  });
});
