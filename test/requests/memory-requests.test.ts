import { describe, expect, test } from 'vitest';
import { MemoryRequests } from '../../src/requests/memory-requests.ts';
import { MAX_WAITING_REQUESTS } from '../../src/requests/requests.ts';
import { describeRequests, errorLog, keepMs, subjectsOf, type TestAnswer, type TestRequest } from './contract.ts';

describeRequests(async () => {
  const { log, errors } = errorLog();
  return { requests: new MemoryRequests<TestRequest, TestAnswer>({ log, keepMs, subjectsOf }), errors };
});

describe('requests in memory', () => {
  test('are rejected while too many requests wait, and accepted once these are handled', async () => {
    const requests = new MemoryRequests<TestRequest, TestAnswer>({ log: errorLog().log, keepMs, subjectsOf });
    const sent = Array.from({ length: MAX_WAITING_REQUESTS }, (_, index) =>
      requests.request({ name: `${index}` }, 20_000),
    );
    await expect(requests.request({ name: 'one more' }, 20_000)).rejects.toThrow('too many requests are waiting');
    requests.serve(4, async ({ name }) => ({ text: name, keepMs: 0 }));
    expect((await Promise.all(sent)).at(-1)).toMatchObject({ text: `${MAX_WAITING_REQUESTS - 1}` });
    expect(await requests.request({ name: 'one more' }, 20_000)).toMatchObject({ text: 'one more' });
    await requests.close();
  });

  test('keep only the last 10,000 results', async () => {
    const requests = new MemoryRequests<TestRequest, TestAnswer>({ log: errorLog().log, keepMs, subjectsOf });
    let handled = 0;
    requests.serve(4, async ({ name }) => ({ text: `${name} ${++handled}`, keepMs: 60_000 }));
    for (let index = 0; index <= 10_000; index++) await requests.request({ name: `${index}` }, 20_000);
    expect(await requests.request({ name: '1' }, 20_000)).toMatchObject({ text: '1 2' });
    expect(await requests.request({ name: '0' }, 20_000)).toMatchObject({ text: '0 10002' });
    await requests.close();
  });
});
