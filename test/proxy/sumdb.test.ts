import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { goEnv, startGo } from './go.ts';
import { publish } from './modules.ts';
import { get, startProxy, type TestProxy, type TestProxyOptions } from './server.ts';
import { closeAfterTest } from '../services/close-after-test.ts';
import { startStub, type Routes, type Stub } from '../services/http-stub.ts';
import { lookup, record, treeHead } from './sumdb-responses.ts';

const DATABASE = '/sumdb/sum.example';
const TILE = `${DATABASE}/tile/8/0/000.p/3`;
const LOOKUP = `${DATABASE}/lookup/outside.example/!hello@v1.0.0`;
const RECORD = lookup('outside.example/Hello', 'v1.0.0');
const DATA_TILE = `${DATABASE}/tile/8/data/000.p/2`;
const RECORDS = record(0, 'a.b/c', 'v1.0.0') + record(1, 'a.b/c', 'v1.1.0');
const PAGE = '<!DOCTYPE html>\n<html><body>Please log in</body></html>\n';

describe('checksum databases', () => {
  let routes: Routes;
  let upstream: Stub;
  beforeEach(async () => {
    routes = {
      [`${DATABASE}/supported`]: '',
      [`${DATABASE}/latest`]: treeHead(1),
      [TILE]: Buffer.alloc(96),
      [LOOKUP]: RECORD,
    };
    upstream = closeAfterTest(await startStub(routes));
  });
  const start = async (options: TestProxyOptions = {}): Promise<TestProxy> => {
    return closeAfterTest(await startProxy({ upstream: upstream.url, ...options }));
  };

  test('are passed through, with tiles and lookups cached forever, and other responses cached for an outage', async () => {
    const proxy = await start();
    for (const path of [`${DATABASE}/supported`, `${DATABASE}/latest`, TILE, LOOKUP, TILE, LOOKUP]) {
      expect([path, (await get(proxy.url + path)).status]).toEqual([path, 200]);
    }
    expect(upstream.asked).toEqual([`${DATABASE}/supported`, `${DATABASE}/latest`, TILE, LOOKUP]);
    routes[`${DATABASE}/latest`] = treeHead(2);
    expect(await get(`${proxy.url}${DATABASE}/latest`)).toMatchObject({ text: treeHead(2) });
    await proxy.settled();
    await upstream.close();
    const restarted = await start({ folder: proxy.folder });
    expect((await get(restarted.url + TILE)).body.equals(Buffer.alloc(96))).toBe(true);
    expect(await get(restarted.url + LOOKUP)).toMatchObject({ status: 200, text: RECORD });
    expect(await get(`${restarted.url}${DATABASE}/supported`)).toMatchObject({ status: 200, text: '' });
    expect(await get(`${restarted.url}${DATABASE}/lookup/outside.example/new@v1.0.0`)).toMatchObject({ status: 502 });
  });

  test.each<[path: string, name: string, invalid: string | Buffer, valid: string | Buffer]>([
    [TILE, 'a tile of the wrong length', Buffer.alloc(95), Buffer.alloc(96)],
    [DATA_TILE, 'a data tile with a record too few', record(4, 'a.b/c', 'v1.0.0'), RECORDS],
    [DATA_TILE, 'a truncated data tile', RECORDS.slice(0, -1), RECORDS],
    [DATA_TILE, 'a page as a data tile', PAGE, RECORDS],
    [LOOKUP, 'a page as a record', PAGE, RECORD],
    [LOOKUP, 'the record of another version', lookup('outside.example/Hello', 'v1.0.1'), RECORD],
    [LOOKUP, 'the record of another module', lookup('outside.example/hello', 'v1.0.0'), RECORD],
    [LOOKUP, 'a truncated record', RECORD.slice(0, 100), RECORD],
    [LOOKUP, 'a record without a tree head', record(1, 'outside.example/Hello', 'v1.0.0'), RECORD],
    [`${DATABASE}/supported`, 'a page as supported', PAGE, ''],
    [`${DATABASE}/latest`, 'a page as the tree head', PAGE, treeHead(3)],
    [`${DATABASE}/latest`, 'a tree head without a signature', treeHead(3).split('—')[0] ?? '', treeHead(3)],
  ])('%s: neither serves nor caches %s', async (path, _name, invalid, valid) => {
    routes[path] = invalid;
    const proxy = await start();
    expect(await get(proxy.url + path)).toMatchObject({ status: 502 });
    await proxy.settled();
    expect(await proxy.store.stat(path.slice(1))).toBeUndefined();
    routes[path] = valid;
    expect(await get(proxy.url + path)).toMatchObject({ status: 200, body: Buffer.from(valid) });
    routes[path] = invalid;
    // The last good response stays: it is served as immutable, or as stale.
    expect(await get(proxy.url + path)).toMatchObject({ status: 200, body: Buffer.from(valid) });
  });

  test.each([LOOKUP, `${DATABASE}/latest`])('replaces an invalid %s that an earlier version cached', async (path) => {
    const proxy = await start();
    await proxy.store.put(path.slice(1), Buffer.from(PAGE));
    expect(await get(proxy.url + path)).toMatchObject({ status: 200, text: routes[path] });
    await proxy.settled();
    expect(String(await proxy.store.get(path.slice(1)))).toBe(routes[path]);
  });

  test('does not serve an invalid response from the cache in an outage either', async () => {
    const proxy = await start();
    for (const path of [LOOKUP, `${DATABASE}/latest`]) await proxy.store.put(path.slice(1), Buffer.from(PAGE));
    await upstream.close();
    for (const path of [LOOKUP, `${DATABASE}/latest`])
      expect([path, (await get(proxy.url + path)).status]).toEqual([path, 502]);
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
    const own = await startStub({ '/db/lookup/outside.example/!hello@v1.0.0': RECORD });
    closeAfterTest(own);
    const proxy = await start({
      databases: [{ name: 'sum.example', server: { url: `${own.url}/db`, authorization: undefined } }],
    });
    expect(await get(`${proxy.url}${DATABASE}/supported`)).toMatchObject({ status: 200, text: '' });
    expect(await get(proxy.url + LOOKUP)).toMatchObject({ status: 200, text: RECORD });
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
