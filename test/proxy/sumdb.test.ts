import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { goEnv, startGo } from './go.ts';
import { publish } from './modules.ts';
import { get, startProxy, type TestProxy, type TestProxyOptions } from './server.ts';
import { startStub, type Routes, type Stub } from '../services/http-stub.ts';

const DATABASE = '/sumdb/sum.example';
const TILE = `${DATABASE}/tile/8/0/000.p/3`;
const LOOKUP = `${DATABASE}/lookup/outside.example/!hello@v1.0.0`;

describe('checksum databases', () => {
  let routes: Routes;
  let upstream: Stub;
  const open: AsyncDisposable[] = [];
  beforeEach(async () => {
    routes = {
      [`${DATABASE}/supported`]: '',
      [`${DATABASE}/latest`]: 'tree 1\n',
      [TILE]: Buffer.alloc(96),
      [LOOKUP]: 'a record\n',
    };
    upstream = await startStub(routes);
    open.push(upstream);
  });
  afterEach(async () => {
    for (const each of open.splice(0).toReversed()) await each[Symbol.asyncDispose]();
  });
  const start = async (options: TestProxyOptions = {}): Promise<TestProxy> => {
    const proxy = await startProxy({ upstream: upstream.url, ...options });
    open.push(proxy);
    return proxy;
  };

  test('are passed through, with tiles and lookups cached forever, and other responses cached for an outage', async () => {
    const proxy = await start();
    for (const path of [`${DATABASE}/supported`, `${DATABASE}/latest`, TILE, LOOKUP, TILE, LOOKUP]) {
      expect([path, (await get(proxy.url + path)).status]).toEqual([path, 200]);
    }
    expect(upstream.asked).toEqual([`${DATABASE}/supported`, `${DATABASE}/latest`, TILE, LOOKUP]);
    routes[`${DATABASE}/latest`] = 'tree 2\n';
    expect(await get(`${proxy.url}${DATABASE}/latest`)).toMatchObject({ text: 'tree 2\n' });
    await proxy.settled();
    await upstream.close();
    const restarted = await start({ folder: proxy.folder });
    expect((await get(restarted.url + TILE)).body.equals(Buffer.alloc(96))).toBe(true);
    expect(await get(restarted.url + LOOKUP)).toMatchObject({ status: 200, text: 'a record\n' });
    expect(await get(`${restarted.url}${DATABASE}/supported`)).toMatchObject({ status: 200, text: '' });
    expect(await get(`${restarted.url}${DATABASE}/lookup/outside.example/new@v1.0.0`)).toMatchObject({ status: 502 });
  });

  test('cause a 502 for a tile of the wrong length, which is not cached', async () => {
    routes[TILE] = Buffer.alloc(95);
    const proxy = await start();
    expect(await get(proxy.url + TILE)).toMatchObject({ status: 502 });
    routes[TILE] = Buffer.alloc(96);
    expect(await get(proxy.url + TILE)).toMatchObject({ status: 200 });
  });

  test('are 404 if upstream does not have them, so that the go command connects to them itself', async () => {
    const proxy = await start();
    expect(await get(`${proxy.url}/sumdb/other.example/supported`)).toMatchObject({ status: 404 });
    const direct = await start({ upstream: 'direct' });
    expect(await get(`${direct.url}${DATABASE}/supported`)).toMatchObject({ status: 404 });
  });

  test('are 404 without a request to upstream if they are not allowed', async () => {
    const proxy = await start({ databases: [{ name: 'other.example', server: undefined }] });
    expect(await get(`${proxy.url}${DATABASE}/supported`)).toMatchObject({
      status: 404,
      text: expect.stringContaining('sum.example is not available through this proxy'),
    });
    expect(upstream.asked).toEqual([]);
  });

  test('are requested at their own URL if one is set', async () => {
    const own = await startStub({ '/db/lookup/outside.example/!hello@v1.0.0': 'own record\n' });
    open.push(own);
    const proxy = await start({
      databases: [{ name: 'sum.example', server: { url: `${own.url}/db`, authorization: undefined } }],
    });
    expect(await get(`${proxy.url}${DATABASE}/supported`)).toMatchObject({ status: 200, text: '' });
    expect(await get(proxy.url + LOOKUP)).toMatchObject({ status: 200, text: 'own record\n' });
    expect(own.asked).toEqual(['/db/lookup/outside.example/!hello@v1.0.0']);
    expect(upstream.asked).toEqual([]);
  });

  test.each(['gitlab.example/team/hello', 'gitlab.example/team/!hello', 'gitlab%2eexample/team/hello'])(
    'never receive a request about the private module %s',
    async (path) => {
      const proxy = await start();
      const { status, text } = await get(`${proxy.url}${DATABASE}/lookup/${path}@v1.0.0`);
      expect(status).toBe(403);
      expect(text).toMatch(
        /^refused: gitlab\.example\/team\/[Hh]ello is private: .*\n.*go env -w GONOSUMDB=gitlab\.example\/\*\nrequest id: \S+\n$/,
      );
      expect(upstream.asked).toEqual([]);
    },
  );

  test('make go get of a private module fail without GONOSUMDB, and the error contains the setting', async () => {
    const database = await goEnv('GOSUMDB');
    const name = database.split(/[+ ]/, 1)[0] ?? '';
    routes[`/sumdb/${name}/supported`] = '';
    const proxy = await start();
    await publish(proxy.store, 'gitlab.example/team/hello', 'v1.0.0');
    await using go = await startGo(proxy.url, { GONOSUMDB: '', GOSUMDB: database });
    const { ok, stderr } = await go.run('get', 'gitlab.example/team/hello@v1.0.0');
    expect([ok, stderr]).toEqual([false, expect.stringContaining('GONOSUMDB=gitlab.example/*')]);
    expect(upstream.asked.filter((path) => path.includes('gitlab'))).toEqual([]);
  });

  test('verify an external module for the real go command, and are not needed for a private module', async () => {
    const proxy = await start({ upstream: await goEnv('GOPROXY') });
    await publish(proxy.store, 'gitlab.example/team/hello', 'v1.0.0');
    await using go = await startGo(proxy.url);
    for (const module of ['rsc.io/quote@v1.5.2', 'gitlab.example/team/hello@v1.0.0']) {
      expect([module, await go.run('get', module)]).toEqual([module, expect.objectContaining({ ok: true })]);
    }
    expect(await readFile(join(go.folder, 'go.sum'), 'utf8')).toContain(
      'rsc.io/quote v1.5.2 h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=\n',
    );
    expect(proxy.observed).toEqual(
      expect.arrayContaining(['sumdb/supported 200', 'sumdb/lookup 200', 'sumdb/tile 200']),
    );
  }, 60_000);
});
