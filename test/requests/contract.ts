import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { RequestFailed, type Requests } from '../../src/requests/requests.ts';

/** The questions that the tests ask. */
export const onDemandRequestSchema = z.object({ name: z.string(), extra: z.string().optional() });
/** Their answers: `keepMs` is for how long one is kept. */
export const onDemandAnswerSchema = z.object({ text: z.string(), keepMs: z.number() });
export type Question = z.infer<typeof onDemandRequestSchema>;
export type Answer = z.infer<typeof onDemandAnswerSchema>;
export const keepMs = (answer: Answer): number => answer.keepMs;

/** Errors that were logged. */
export interface QuestionsUnderTest {
  readonly questions: Requests<Question, Answer>;
  readonly errors: readonly string[];
}

/** A logger that notes what is logged as a warning, and what as an error. */
export function errorLog(): { log: pino.Logger; warnings: string[]; errors: string[] } {
  const [warnings, errors]: [string[], string[]] = [[], []];
  const write = (line: string): void => {
    const { level, msg } = logLine.parse(JSON.parse(line));
    (level >= 50 ? errors : warnings).push(msg);
  };
  return { warnings, errors, log: pino({ level: 'warn' }, { write }) };
}

const logLine = z.object({ level: z.number(), msg: z.string() });

const PATIENCE_MS = 10_000;

/** What is promised of questions, for whoever keeps them. `create` makes them anew for each test. */
export function describeQuestions(create: () => Promise<QuestionsUnderTest>): void {
  describe('questions', () => {
    let under: QuestionsUnderTest;
    let questions: Requests<Question, Answer>;
    /** The names that the handler was asked about, in order. */
    let handled: string[];
    /** Lets the handler go on. */
    let release: () => void;
    let released: Promise<void>;

    beforeEach(async () => {
      under = await create();
      ({ questions } = under);
      handled = [];
      released = new Promise((resolve) => (release = resolve));
    });
    afterEach(async () => {
      release();
      await questions.close();
    });

    const answerWith = (make: (question: Question) => Answer, waits = false): void => {
      questions.answer(4, async (question) => {
        handled.push(question.name);
        if (waits) await released;
        return make(question);
      });
    };

    test('are answered', async () => {
      answerWith(({ name }) => ({ text: `about ${name}`, keepMs: 0 }));
      expect(await questions.ask({ name: 'a' }, PATIENCE_MS)).toEqual({ text: 'about a', keepMs: 0 });
    });

    test('that are equal are handled once, whatever the order of their fields, and all get the answer', async () => {
      answerWith(({ name }) => ({ text: `about ${name}`, keepMs: 0 }), true);
      const asked = [
        ...Array.from({ length: 10 }, () => questions.ask({ name: 'a', extra: 'x' }, PATIENCE_MS)),
        questions.ask({ extra: 'x', name: 'a' }, PATIENCE_MS),
      ];
      const other = questions.ask({ name: 'b' }, PATIENCE_MS);
      await expect.poll(() => handled.length).toBe(2);
      release();
      expect(await Promise.all(asked)).toEqual(asked.map(() => ({ text: 'about a', keepMs: 0 })));
      expect(await other).toMatchObject({ text: 'about b' });
      expect(handled.toSorted()).toEqual(['a', 'b']);
    });

    test('have their answer kept for as long as it says, and no longer', async () => {
      answerWith(({ name }) => ({
        text: `${name}${handled.length}`,
        keepMs: name === 'kept' ? 60_000 : name === 'short' ? 50 : 0,
      }));
      for (const name of ['kept', 'once']) await questions.ask({ name }, PATIENCE_MS);
      expect(await questions.ask({ name: 'kept' }, PATIENCE_MS)).toMatchObject({ text: 'kept1' });
      expect(await questions.ask({ name: 'once' }, PATIENCE_MS)).toMatchObject({ text: 'once3' });
      const first = await questions.ask({ name: 'short' }, PATIENCE_MS);
      await expect.poll(() => questions.ask({ name: 'short' }, PATIENCE_MS)).not.toEqual(first);
    });

    test('are given up when patience ends, and answered at once when asked again', async () => {
      answerWith(({ name }) => ({ text: name, keepMs: 60_000 }), true);
      expect(await questions.ask({ name: 'slow' }, 50)).toBeUndefined();
      release();
      expect(await questions.ask({ name: 'slow' }, PATIENCE_MS)).toEqual({ text: 'slow', keepMs: 60_000 });
      expect(handled).toEqual(['slow']);
    });

    test('are the same whether a field is undefined or not there', async () => {
      answerWith(({ name }) => ({ text: name, keepMs: 60_000 }));
      await questions.ask({ name: 'a', extra: undefined }, PATIENCE_MS);
      await questions.ask({ name: 'a' }, PATIENCE_MS);
      expect(handled).toEqual(['a']);
    });

    test('are refused once the queue is closed', async () => {
      await questions.close();
      await expect(questions.ask({ name: 'a' }, PATIENCE_MS)).rejects.toBeInstanceOf(RequestFailed);
    });

    test('that nobody answers are given up', async () => {
      expect(await questions.ask({ name: 'a' }, 50)).toBeUndefined();
    });

    test('whose handler fails are failed for all, logged, and handled again when asked again', async () => {
      let fails = true;
      questions.answer(4, async ({ name }) => {
        handled.push(name);
        await released;
        if (fails) throw new Error('a bug with a secret');
        return { text: name, keepMs: 0 };
      });
      const asked = Promise.allSettled([
        questions.ask({ name: 'a' }, PATIENCE_MS),
        questions.ask({ name: 'a' }, PATIENCE_MS),
      ]);
      await expect.poll(() => handled.length).toBe(1);
      release();
      for (const result of await asked) {
        const reason: unknown = result.status === 'rejected' ? result.reason : undefined;
        expect(reason).toBeInstanceOf(RequestFailed);
        expect(String(reason)).not.toContain('secret');
      }
      expect(under.errors).toEqual(['a question could not be answered']);
      fails = false;
      expect(await questions.ask({ name: 'a' }, PATIENCE_MS)).toMatchObject({ text: 'a' });
    });

    test('run side by side, but no more than allowed', async () => {
      let running = 0;
      let most = 0;
      questions.answer(2, async ({ name }) => {
        most = Math.max(most, ++running);
        handled.push(name);
        await released;
        running--;
        return { text: name, keepMs: 0 };
      });
      const asked = ['a', 'b', 'c'].map((name) => questions.ask({ name }, PATIENCE_MS));
      await expect.poll(() => handled.length).toBe(2);
      release();
      await Promise.all(asked);
      expect(most).toBe(2);
    });

    test('are let finish by a close, which ends the waiting of all others', async () => {
      answerWith(({ name }) => ({ text: name, keepMs: 0 }), true);
      const asked = questions.ask({ name: 'a' }, PATIENCE_MS).catch((error: unknown) => error);
      await expect.poll(() => handled.length).toBe(1);
      const closed = questions.close();
      const answer = await asked;
      expect(answer === undefined || answer instanceof RequestFailed).toBe(true);
      release();
      await closed;
    });
  });
}
