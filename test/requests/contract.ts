import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { RequestFailed, requestId, type Requests } from '../../src/requests/requests.ts';

/** The schema of the requests in the tests. */
export const requestSchema = z.object({ name: z.string(), extra: z.string().optional() });
/** The schema of the results. `keepMs` is the time for which a result is reused, in ms. */
export const answerSchema = z.object({ text: z.string(), keepMs: z.number() });
export type TestRequest = z.infer<typeof requestSchema>;
export type TestAnswer = z.infer<typeof answerSchema>;
export const keepMs = (answer: TestAnswer): number => answer.keepMs;
/** The name is the group. */
export const groupOf = ({ name }: TestRequest): string => name;
/** A result depends on the name and on the extra name of its request. */
export const subjectsOf = ({ name, extra }: TestRequest): string[] => [name, ...(extra === undefined ? [] : [extra])];

/** An implementation under test, and the errors that it has logged. */
export interface RequestsUnderTest {
  readonly requests: Requests<TestRequest, TestAnswer>;
  readonly errors: readonly string[];
}

/** Creates a logger that collects the messages of its warnings and errors. */
export function errorLog(): { log: pino.Logger; warnings: string[]; errors: string[] } {
  const [warnings, errors]: [string[], string[]] = [[], []];
  const write = (line: string): void => {
    const { level, msg } = logLine.parse(JSON.parse(line));
    (level >= 50 ? errors : warnings).push(msg);
  };
  return { warnings, errors, log: pino({ level: 'warn' }, { write }) };
}

const logLine = z.object({ level: z.number(), msg: z.string() });

/** A timeout that is long enough for every result, in ms. */
const TIMEOUT_MS = 10_000;

/** Tests the promises of every implementation of `Requests`. `create` creates a new instance for each test. */
export function describeRequests(create: () => Promise<RequestsUnderTest>): void {
  describe('requests', () => {
    let underTest: RequestsUnderTest;
    let requests: Requests<TestRequest, TestAnswer>;
    /** The names in the requests that have reached the handler, in order. */
    let handled: string[];
    /** Lets the handler continue. */
    let release: () => void;
    let released: Promise<void>;

    beforeEach(async () => {
      underTest = await create();
      ({ requests } = underTest);
      handled = [];
      released = new Promise((resolve) => (release = resolve));
    });
    afterEach(async () => {
      release();
      await requests.close();
    });

    const serveWith = (answerTo: (request: TestRequest) => TestAnswer, waits = false): void => {
      requests.serve(4, async (request) => {
        handled.push(request.name);
        if (waits) await released;
        return answerTo(request);
      });
    };

    test('return the result of the handler', async () => {
      serveWith(({ name }) => ({ text: `about ${name}`, keepMs: 0 }));
      expect(await requests.request({ name: 'a' }, TIMEOUT_MS)).toEqual({ text: 'about a', keepMs: 0 });
    });

    test('are handled once if they are equal, whatever the order of their fields, and all clients get the result', async () => {
      serveWith(({ name }) => ({ text: `about ${name}`, keepMs: 0 }), true);
      const equal = [
        ...Array.from({ length: 10 }, () => requests.request({ name: 'a', extra: 'x' }, TIMEOUT_MS)),
        requests.request({ extra: 'x', name: 'a' }, TIMEOUT_MS),
      ];
      const different = requests.request({ name: 'b' }, TIMEOUT_MS);
      await expect.poll(() => handled.length).toBe(2);
      release();
      expect(await Promise.all(equal)).toEqual(equal.map(() => ({ text: 'about a', keepMs: 0 })));
      expect(await different).toMatchObject({ text: 'about b' });
      expect(handled.toSorted()).toEqual(['a', 'b']);
    });

    test('get a result that is reused for keepMs, and no longer', async () => {
      serveWith(({ name }) => ({
        text: `${name}${handled.length}`,
        keepMs: name === 'kept' ? 60_000 : name === 'short' ? 50 : 0,
      }));
      for (const name of ['kept', 'once']) await requests.request({ name }, TIMEOUT_MS);
      expect(await requests.request({ name: 'kept' }, TIMEOUT_MS)).toMatchObject({ text: 'kept1' });
      expect(await requests.request({ name: 'once' }, TIMEOUT_MS)).toMatchObject({ text: 'once3' });
      const first = await requests.request({ name: 'short' }, TIMEOUT_MS);
      await expect.poll(() => requests.request({ name: 'short' }, TIMEOUT_MS)).not.toEqual(first);
    });

    test('get a new result after a subject of the request has changed, and no other request does', async () => {
      serveWith(({ name }) => ({ text: `${name}${handled.length}`, keepMs: 60_000 }));
      for (const request of [{ name: 'a' }, { name: 'b', extra: 'c' }]) await requests.request(request, TIMEOUT_MS);
      await requests.invalidate('c');
      expect(await requests.request({ name: 'a' }, TIMEOUT_MS)).toMatchObject({ text: 'a1' });
      expect(await requests.request({ name: 'b', extra: 'c' }, TIMEOUT_MS)).toMatchObject({ text: 'b3' });
      expect(await requests.request({ name: 'b', extra: 'c' }, TIMEOUT_MS)).toMatchObject({ text: 'b3' });
    });

    test('do not get the result of a handler that started before a subject changed', async () => {
      let count = 0;
      requests.serve(4, async ({ name }) => {
        const text = `${name}${++count}`;
        handled.push(name);
        if (count === 1) await released;
        return { text, keepMs: 60_000 };
      });
      const early = requests.request({ name: 'a' }, TIMEOUT_MS);
      await expect.poll(() => handled.length).toBe(1);
      await requests.invalidate('a');
      const late = requests.request({ name: 'a' }, TIMEOUT_MS);
      release();
      expect(await early).toBeDefined();
      expect(await late).toMatchObject({ text: 'a2' });
      expect(await requests.request({ name: 'a' }, TIMEOUT_MS)).toMatchObject({ text: 'a2' });
    });

    test('end at the timeout, and the next equal request returns the result', async () => {
      serveWith(({ name }) => ({ text: name, keepMs: 60_000 }), true);
      expect(await requests.request({ name: 'slow' }, 50)).toBeUndefined();
      release();
      expect(await requests.request({ name: 'slow' }, TIMEOUT_MS)).toEqual({ text: 'slow', keepMs: 60_000 });
      expect(handled).toEqual(['slow']);
    });

    test('are equal if a field is undefined in one and missing in the other', async () => {
      serveWith(({ name }) => ({ text: name, keepMs: 60_000 }));
      await requests.request({ name: 'a', extra: undefined }, TIMEOUT_MS);
      await requests.request({ name: 'a' }, TIMEOUT_MS);
      expect(handled).toEqual(['a']);
    });

    test('are rejected after close', async () => {
      await requests.close();
      await expect(requests.request({ name: 'a' }, TIMEOUT_MS)).rejects.toBeInstanceOf(RequestFailed);
    });

    test('end at the timeout if no handler runs', async () => {
      expect(await requests.request({ name: 'a' }, 50)).toBeUndefined();
    });

    test('fail for all clients if the handler fails, which is logged, and are handled again later', async () => {
      let fails = true;
      requests.serve(4, async ({ name }) => {
        handled.push(name);
        await released;
        if (fails) throw new Error('a bug with a secret');
        return { text: name, keepMs: 0 };
      });
      const settled = Promise.allSettled([
        requests.request({ name: 'a' }, TIMEOUT_MS),
        requests.request({ name: 'a' }, TIMEOUT_MS),
      ]);
      await expect.poll(() => handled.length).toBe(1);
      release();
      for (const result of await settled) {
        const reason: unknown = result.status === 'rejected' ? result.reason : undefined;
        expect(reason).toBeInstanceOf(RequestFailed);
        expect(String(reason)).not.toContain('secret');
      }
      expect(underTest.errors).toEqual(['the handler of a request failed unexpectedly']);
      fails = false;
      expect(await requests.request({ name: 'a' }, TIMEOUT_MS)).toMatchObject({ text: 'a' });
    });

    test('are handled concurrently, up to the limit', async () => {
      let running = 0;
      let maxRunning = 0;
      requests.serve(2, async ({ name }) => {
        maxRunning = Math.max(maxRunning, ++running);
        handled.push(name);
        await released;
        running--;
        return { text: name, keepMs: 0 };
      });
      const sent = ['a', 'b', 'c'].map((name) => requests.request({ name }, TIMEOUT_MS));
      await expect.poll(() => handled.length).toBe(2);
      release();
      await Promise.all(sent);
      expect(maxRunning).toBe(2);
    });

    /** A client that sends many requests of one group. */
    const FLOOD = [(index: number) => ({ name: 'flood', extra: `${index}` }), () => 'flood'] as const;
    test.each([
      ['client and group', { name: 'single' }, 'person', ...FLOOD],
      ['client', { name: 'flood', extra: 'single' }, 'person', ...FLOOD],
      ['group', { name: 'single' }, 'flood', ...FLOOD],
      ['client', { name: '7', extra: 'single' }, 'person', (index: number) => ({ name: `${index}` }), () => 'flood'],
      ['group', { name: 'single' }, '7', FLOOD[0], (index: number) => `${index}`],
      ['client, even if it repeats a request', FLOOD[0](19), 'person', ...FLOOD],
    ] as const)('of another %s run before many others', async (_name, request, address, requestAt, addressAt) => {
      const flood = Array.from({ length: 20 }, (_, index) =>
        requests.request(requestAt(index), TIMEOUT_MS, { address: addressAt(index) }),
      );
      // Requests in Redis are stored one after the other.
      await new Promise((resolve) => setTimeout(resolve, 200));
      const single = requests.request(request, TIMEOUT_MS, { address });
      await new Promise((resolve) => setTimeout(resolve, 200));
      const order: TestRequest[] = [];
      requests.serve(1, async (next) => {
        order.push(next);
        return { text: next.name, keepMs: 0 };
      });
      await Promise.all([single, ...flood]);
      expect(order.findIndex((one) => requestId(one) === requestId(request))).toBeLessThan(5);
      expect(new Set(order.map(requestId)).size).toBe(order.length);
    });

    test('resolve to undefined when the client is gone', async () => {
      const client = new AbortController();
      const request = requests.request({ name: 'a' }, TIMEOUT_MS, { signal: client.signal });
      client.abort();
      expect(await request).toBeUndefined();
      expect(await requests.request({ name: 'a' }, TIMEOUT_MS, { signal: client.signal })).toBeUndefined();
    });

    test('end for all clients at close, which waits for the running handler', async () => {
      serveWith(({ name }) => ({ text: name, keepMs: 0 }), true);
      const sent = requests.request({ name: 'a' }, TIMEOUT_MS).catch((error: unknown) => error);
      await expect.poll(() => handled.length).toBe(1);
      const closed = requests.close();
      const result = await sent;
      expect(result === undefined || result instanceof RequestFailed).toBe(true);
      release();
      await closed;
    });
  });
}
