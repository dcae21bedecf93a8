import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { BodyTooSlow } from '../../src/http-client/minimum-rate.ts';
import { BodyLimitExceeded, readBody, readStart } from '../../src/http-client/read-body.ts';
import { sendLarge, sendSlowly, startStub, type Stub } from '../services/http-stub.ts';

const MEGABYTE = 2 ** 20;

async function open(server: Stub, path: string, http = new HttpClient()): Promise<Response> {
  return await http.fetch(new URL(path, server.url), { signal: AbortSignal.timeout(20_000) });
}

test('a body that is larger than the limit is not read to its end', async () => {
  let sent = 0;
  let closed = 0;
  await using server = await startStub({
    '/': (response) => {
      response.once('close', () => closed++);
      sendLarge(response, 100 * MEGABYTE, (length) => (sent += length));
    },
  });
  const limits = { maxBytes: MEGABYTE, timeoutMs: 20_000 };
  await expect(readBody(await open(server, '/'), limits)).rejects.toThrow(BodyLimitExceeded);
  const { bytes, isWhole } = await readStart(await open(server, '/'), limits);
  expect([bytes.length, isWhole]).toEqual([MEGABYTE, false]);
  await expect.poll(() => closed).toBe(2);
  expect(sent).toBeLessThan(50 * MEGABYTE);
});

test('a body of the size of the limit is read', async () => {
  await using server = await startStub({ '/': 'four', '/empty': '' });
  const limits = { maxBytes: 4, timeoutMs: 20_000 };
  expect(String(await readBody(await open(server, '/'), limits))).toBe('four');
  expect(await readBody(await open(server, '/empty'), limits)).toHaveLength(0);
  expect(await readBody(new Response(null), limits)).toHaveLength(0);
  expect(await readStart(await open(server, '/'), limits)).toMatchObject({ isWhole: true });
});

test('a body that arrives byte by byte ends at the timeout', async () => {
  await using server = await startStub({ '/': sendSlowly });
  const limits = { maxBytes: MEGABYTE, timeoutMs: 200 };
  await expect(readBody(await open(server, '/'), limits)).rejects.toThrow(BodyLimitExceeded);
});

test('a stream that arrives more slowly than the minimum rate fails', async () => {
  let closed = false;
  await using server = await startStub({
    '/': (response) => {
      response.once('close', () => (closed = true));
      sendSlowly(response);
    },
  });
  const http = new HttpClient({ minimumRate: { bytes: 1000, windowMs: 300 } });
  await expect((await open(server, '/', http)).text()).rejects.toThrow(BodyTooSlow);
  await expect.poll(() => closed).toBe(true);
});

test('a slow reader does not count as a slow server', async () => {
  const body = 'x'.repeat(4 * MEGABYTE);
  await using server = await startStub({ '/': body });
  const http = new HttpClient({ minimumRate: { bytes: 10 * MEGABYTE, windowMs: 1000 } });
  const response = await open(server, '/', http);
  let received = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    // The pause has to be longer than the window.
    if (received === 0) await delay(1300);
    received += chunk.length;
  }
  expect(received).toBe(body.length);
});
