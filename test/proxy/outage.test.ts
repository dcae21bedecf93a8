import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ConcurrencyLimit } from '../../src/async/concurrency-limit.ts';
import type { ReadStore } from '../../src/store/store.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import type { Answer } from '../../src/proxy/module-source.ts';
import { PrivateModules } from '../../src/proxy/private-modules.ts';
import { modulePath, publish } from './modules.ts';
import { get, startProxy, withStore } from './server.ts';

const MODULE = 'gitlab.example/team/hello';
const FILES = ['@v/list', '@latest', '@v/v1.0.0.info', '@v/v1.0.0.mod'];

test('the proxy serves files from memory while the store is down, and responds with 503 for all other files', async () => {
  await using proxy = await startProxy();
  const files = await publish(proxy.store, MODULE, 'v1.0.0');
  for (const file of FILES) expect((await get(`${proxy.url}/${MODULE}/${file}`)).status).toBe(200);
  // A volume that is no longer mounted looks like this.
  await rm(join(proxy.folder, '.tmp'), { recursive: true });
  await rm(join(proxy.folder, 'modules'), { recursive: true });

  expect(await get(`${proxy.url}/${MODULE}/@v/list`)).toMatchObject({ status: 200, text: 'v1.0.0\n' });
  expect((await get(`${proxy.url}/${MODULE}/@v/list`)).headers.get('warning')).toContain('110');
  expect((await get(`${proxy.url}/${MODULE}/@latest`)).body.equals(files.info)).toBe(true);
  expect((await get(`${proxy.url}/${MODULE}/@v/v1.0.0.mod`)).body.equals(files.mod)).toBe(true);
  for (const missing of [
    `${MODULE}/@v/v1.0.0.zip`,
    `${MODULE}/@v/v1.1.0.info`,
    'gitlab.example/other/@v/list',
    'gitlab.example/other/@latest',
  ]) {
    const { status, text, headers } = await get(`${proxy.url}/${missing}`);
    expect([missing, status, text.split('\n')[0]]).toEqual([
      missing,
      503,
      expect.stringMatching(/^the module store cannot be reached right now, so gitlab\.example\/.* cannot be served$/),
    ]);
    expect(headers.get('retry-after')).toBe('10');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(text).not.toContain(proxy.folder);
  }
  expect(proxy.log.filter((line) => line.includes('request failed'))).toHaveLength(4);
});

test('the proxy stops serving a file that another process has removed when its copy in memory expires', async () => {
  await using proxy = await startProxy({ freshMs: 0 });
  await publish(proxy.store, MODULE, 'v1.0.0');
  for (const file of FILES) expect((await get(`${proxy.url}/${MODULE}/${file}`)).status).toBe(200);
  await proxy.store.delete(`modules/${MODULE}/@v/v1.0.0.info`);
  for (const file of FILES) expect((await get(`${proxy.url}/${MODULE}/${file}`)).status).toBe(404);
});

test.each([
  ['info', (file: Buffer) => file.subarray(0, file.length / 2)],
  ['info', () => Buffer.from('<html>Please log in</html>')],
  ['info', () => Buffer.from('{"Version":"v1.1.0","Time":"2024-02-03T04:05:06Z"}')],
  ['info', () => Buffer.alloc(0)],
  ['mod', () => Buffer.from('<html>\nmodule of a page\n</html>')],
  ['mod', () => Buffer.alloc(0)],
] as const)('the proxy serves no %s that the store returns damaged, and keeps none in memory', async (file, damage) => {
  let isDamaged = true;
  await using proxy = await startProxy({
    freshMs: 0,
    wrap: (store) =>
      withStore(store, {
        async get(key) {
          const body = await store.get(key);
          return body && isDamaged && key.endsWith(`.${file}`) ? damage(body) : body;
        },
      }),
  });
  const files = await publish(proxy.store, MODULE, 'v1.0.0');
  const url = `${proxy.url}/${MODULE}/@v/v1.0.0.${file}`;
  const { status, headers } = await get(url);
  expect([status, headers.get('cache-control'), headers.get('retry-after')]).toEqual([503, 'no-store', '10']);
  expect((await get(`${proxy.url}/${MODULE}/@latest`)).status).toBe(503);
  expect(proxy.log.join('')).toContain(`modules/${MODULE}/@v/v1.0.0.${file}`);
  isDamaged = false;
  expect((await get(url)).body.equals(files[file])).toBe(true);
  isDamaged = true;
  // The last known content is still in memory.
  expect((await get(url)).body.equals(files[file])).toBe(true);
});

test('the proxy lists the store once for identical concurrent requests', async () => {
  await using proxy = await startProxy();
  await publish(proxy.store, MODULE, 'v1.0.0');
  let listings = 0;
  const store: ReadStore = withStore(proxy.store, {
    list: (prefix, options) => {
      listings++;
      return proxy.store.list(prefix, options);
    },
  });
  const modules = new PrivateModules({ store, openZips: new ConcurrencyLimit(1, 0) });
  const ask = (): Promise<Answer> => modules.answer({ kind: 'list', module: modulePath(MODULE) });
  const answers = await Promise.all(Array.from({ length: 20 }, ask));
  expect(answers.every((answer) => answer.kind === 'bytes' && answer.body.toString() === 'v1.0.0\n')).toBe(true);
  expect(listings).toBe(1);
  await ask();
  expect(listings).toBe(2);
});

const unexpected = new Error('the password is hunter2', { cause: new StoreUnavailable('inner') });

test('the proxy responds to an unexpected error with 500 and no details, and logs the error once with its cause', async () => {
  await using proxy = await startProxy({
    wrap: (store) => withStore(store, { get: () => Promise.reject(unexpected) }),
  });
  const { status, text, headers } = await get(`${proxy.url}/${MODULE}/@v/v1.0.0.info`);
  expect([status, text]).toEqual([
    500,
    `internal error\nThe log of the service has the details under this request id.\nrequest id: ${headers.get('x-request-id')}\n`,
  ]);
  const logged = proxy.log.filter((line) => line.includes('hunter2'));
  expect(logged).toHaveLength(1);
  expect(logged[0]).toContain('inner');
});
