import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { closeAfterTest } from '../services/close-after-test.ts';
import { listen } from '../services/http-stub.ts';
import { get, startProxy, type TestProxy } from './server.ts';

/** How many requests may continue without clients. */
const MAX_ABANDONED = 32;

test.each([
  ['the lists of external modules', (index: number) => `/outside.example/m${index}/@v/list`, 'v1.0.0\n'],
  [
    'files of external modules',
    (index: number) => `/outside.example/m${index}/@v/v1.0.0.info`,
    '{"Version":"v1.0.0","Time":"2024-02-03T04:05:06Z"}',
  ],
  [
    'tiles of a checksum database',
    (index: number) => `/sumdb/sum.example/tile/8/0/${String(index).padStart(3, '0')}`,
    'x'.repeat(8192),
  ],
])('few requests for %s continue after their clients have left, and fill the cache', async (_, pathAt, body) => {
  const held = new Map<string, ServerResponse>();
  const upstream = closeAfterTest(
    await listen((request, response) => {
      const path = request.url ?? '';
      held.set(path, response);
      response.once('close', () => held.delete(path));
    }),
  );
  const proxy = closeAfterTest(await startProxy({ upstream: upstream.url }));
  const staying = get(proxy.url + pathAt(99));
  await expect.poll(() => held.size).toBe(1);
  const leaving = connect(Number(new URL(proxy.url).port), '127.0.0.1').resume();
  await once(leaving, 'connect');
  leaving.write(
    Array.from({ length: 100 }, (_item, index) => `GET ${pathAt(index)} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''),
  );
  await expect.poll(() => held.size).toBe(100);
  leaving.destroy();
  await expect.poll(() => held.size).toBe(MAX_ABANDONED + 1);
  for (const response of held.values()) response.end(body);
  expect((await staying).status).toBe(200);
  await expect.poll(() => cachedIn(proxy)).toBe(MAX_ABANDONED + 1);
});

/** The number of files in the caches. */
async function cachedIn({ store }: TestProxy): Promise<number> {
  let count = 0;
  for (const prefix of ['upstream/', 'sumdb/']) for await (const _ of store.list(prefix)) count++;
  return count;
}
