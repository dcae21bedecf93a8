import { describe, expect, test } from 'vitest';
import { MemoryRequests } from '../../src/requests/memory-requests.ts';
import { MAX_WAITING_REQUESTS } from '../../src/requests/requests.ts';
import {
  describeRequests,
  errorLog,
  groupOf,
  keepMs,
  subjectsOf,
  type TestAnswer,
  type TestRequest,
} from './contract.ts';

describeRequests(async () => {
  const { log, errors } = errorLog();
  return { requests: new MemoryRequests<TestRequest, TestAnswer>({ log, keepMs, groupOf, subjectsOf }), errors };
});

describe('requests in memory', () => {
  test('are rejected while too many requests wait, and accepted once these are handled', async () => {
    const requests = new MemoryRequests<TestRequest, TestAnswer>({ log: errorLog().log, keepMs, groupOf, subjectsOf });
    const sent = Array.from({ length: MAX_WAITING_REQUESTS }, (_, index) =>
      requests.request({ name: `${index}` }, 20_000),
    );
    await expect(requests.request({ name: 'one more' }, 20_000)).rejects.toThrow('too many requests are waiting');
    requests.serve(4, async ({ name }) => ({ text: name, keepMs: 0 }));
    expect((await Promise.all(sent)).at(-1)).toMatchObject({ text: `${MAX_WAITING_REQUESTS - 1}` });
    expect(await requests.request({ name: 'one more' }, 20_000)).toMatchObject({ text: 'one more' });
    await requests.close();
  });

  test('are dropped when all their clients are gone, and not before', async () => {
    const requests = new MemoryRequests<TestRequest, TestAnswer>({ log: errorLog().log, keepMs, groupOf, subjectsOf });
    const [first, second] = [new AbortController(), new AbortController()];
    const gone = [first, second].map(({ signal }) => requests.request({ name: 'gone' }, 20_000, { signal }));
    const shared = [first, undefined].map((client) =>
      requests.request({ name: 'shared' }, 20_000, client && { signal: client.signal }),
    );
    first.abort();
    second.abort();
    expect(await Promise.all(gone)).toEqual([undefined, undefined]);
    const handled: string[] = [];
    requests.serve(1, async ({ name }) => {
      handled.push(name);
      return { text: name, keepMs: 0 };
    });
    expect(await Promise.all(shared)).toEqual([undefined, { text: 'shared', keepMs: 0 }]);
    expect(await requests.request({ name: 'last' }, 20_000)).toMatchObject({ text: 'last' });
    expect(handled).toEqual(['shared', 'last']);
    await requests.close();
  });

  test('keep only the last 10,000 results', async () => {
    const requests = new MemoryRequests<TestRequest, TestAnswer>({ log: errorLog().log, keepMs, groupOf, subjectsOf });
    let handled = 0;
    requests.serve(4, async ({ name }) => ({ text: `${name} ${++handled}`, keepMs: 60_000 }));
    for (let index = 0; index <= 10_000; index++) await requests.request({ name: `${index}` }, 20_000);
    expect(await requests.request({ name: '1' }, 20_000)).toMatchObject({ text: '1 2' });
    expect(await requests.request({ name: '0' }, 20_000)).toMatchObject({ text: '0 10002' });
    await requests.close();
  });
});
