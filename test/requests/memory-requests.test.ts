import { describe, expect, test } from 'vitest';
import { MemoryRequests } from '../../src/requests/memory-requests.ts';
import { MAX_WAITING } from '../../src/requests/requests.ts';
import { describeQuestions, errorLog, keepMs, type Answer, type Question } from './contract.ts';

describeQuestions(async () => {
  const { log, errors } = errorLog();
  return { questions: new MemoryRequests<Question, Answer>({ log, keepMs }), errors };
});

describe('questions in the process', () => {
  test('are refused when too many wait, and taken again when they are answered', async () => {
    const questions = new MemoryRequests<Question, Answer>({ log: errorLog().log, keepMs });
    const asked = Array.from({ length: MAX_WAITING }, (_, index) => questions.ask({ name: `${index}` }, 20_000));
    await expect(questions.ask({ name: 'one more' }, 20_000)).rejects.toThrow('too many questions wait');
    questions.answer(4, async ({ name }) => ({ text: name, keepMs: 0 }));
    expect((await Promise.all(asked)).at(-1)).toMatchObject({ text: `${MAX_WAITING - 1}` });
    expect(await questions.ask({ name: 'one more' }, 20_000)).toMatchObject({ text: 'one more' });
    await questions.close();
  });

  test('have their answers kept for the last 10,000 only', async () => {
    const questions = new MemoryRequests<Question, Answer>({ log: errorLog().log, keepMs });
    let handled = 0;
    questions.answer(4, async ({ name }) => ({ text: `${name} ${++handled}`, keepMs: 60_000 }));
    for (let index = 0; index <= 10_000; index++) await questions.ask({ name: `${index}` }, 20_000);
    expect(await questions.ask({ name: '1' }, 20_000)).toMatchObject({ text: '1 2' });
    expect(await questions.ask({ name: '0' }, 20_000)).toMatchObject({ text: '0 10002' });
    await questions.close();
  });
});
