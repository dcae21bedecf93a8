import { EventEmitter, once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { RedirectedModules } from '../../src/proxy/external-modules.ts';
import { parseGoproxy } from '../../src/proxy/goproxy.ts';
import { goEnv, startGo } from './go.ts';
import { makeModule, type ModuleFiles } from './modules.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { get, startProxy, withStore, type TestProxy, type TestProxyOptions } from './server.ts';
import { closeAfterTest } from '../services/close-after-test.ts';
import { sendLarge, startStub, type Routes, type Stub } from '../services/http-stub.ts';

const MODULE = 'outside.example/hello';
const V = `/${MODULE}/@v`;

let files: ModuleFiles;
let routes: Routes;
let upstream: Stub;

beforeEach(async () => {
  files = await makeModule(MODULE, 'v1.0.0', undefined, 512 * 1024);
  routes = {
    [`${V}/list`]: 'v1.0.0\n',
    [`/${MODULE}/@latest`]: files.info,
    [`${V}/main.info`]: files.info,
    [`${V}/v1.0.0.info`]: files.info,
    [`${V}/v1.0.0.mod`]: files.mod,
    [`${V}/v1.0.0.zip`]: files.zip,
  };
  upstream = closeAfterTest(await startStub(routes));
});

async function start(options: TestProxyOptions = {}): Promise<TestProxy> {
  return closeAfterTest(await startProxy({ upstream: upstream.url, ...options }));
}

/** The number of bytes of the zip that `holdZip` sends. */
const SENT = 256 * 1024;

/** Makes upstream send only the beginning of the zip. The test can send the rest through `response`. */
function holdZip(): { response?: ServerResponse } {
  const held: { response?: ServerResponse } = {};
  routes[`${V}/v1.0.0.zip`] = (response) => {
    response.write(files.zip.subarray(0, SENT));
    held.response = response;
  };
  return held;
}

/** Returns the keys in the cache, without their prefix. */
async function cached(proxy: TestProxy): Promise<string[]> {
  await proxy.settled();
  const keys: string[] = [];
  for await (const { key } of proxy.store.list('upstream/')) keys.push(key.slice('upstream'.length));
  return keys;
}

describe('external modules', () => {
  test('are downloaded from upstream once and then served from the cache, even after a restart without upstream', async () => {
    const first = await start();
    for (const file of ['info', 'mod', 'zip'] as const) {
      for (let times = 0; times < 2; times++) {
        const { status, body, headers } = await get(`${first.url}${V}/v1.0.0.${file}`);
        expect([status, body.equals(files[file])]).toEqual([200, true]);
        expect(headers.get('cache-control')).toBe('public, max-age=604800, immutable');
        await first.settled();
      }
    }
    expect(upstream.asked).toEqual([`${V}/v1.0.0.info`, `${V}/v1.0.0.mod`, `${V}/v1.0.0.zip`]);
    await upstream.close();

    const second = await start({ folder: first.folder });
    for (const file of ['info', 'mod', 'zip'] as const) {
      expect((await get(`${second.url}${V}/v1.0.0.${file}`)).body.equals(files[file])).toBe(true);
    }
  });

  test('need one request to upstream, even if many clients request them at once', async () => {
    // Upstream sends most of the zip only after every client has connected.
    let arrived = 0;
    const held = holdZip();
    const proxy = await start();
    const clients = Array.from({ length: 8 }, async () => {
      const response = await fetch(`${proxy.url}${V}/v1.0.0.zip`);
      arrived++;
      return Buffer.from(await response.arrayBuffer());
    });
    await vi.waitUntil(() => arrived === 8);
    held.response?.end(files.zip.subarray(SENT));
    for (const body of await Promise.all(clients)) expect(body.equals(files.zip)).toBe(true);
    await Promise.all(Array.from({ length: 8 }, () => get(`${proxy.url}${V}/v1.0.0.mod`)));
    expect(upstream.asked).toEqual([`${V}/v1.0.0.zip`, `${V}/v1.0.0.mod`]);
  });

  test('are cached even if the client disconnects during the download', async () => {
    const held = holdZip();
    const proxy = await start();
    const leaving = new AbortController();
    const response = await fetch(`${proxy.url}${V}/v1.0.0.zip`, { signal: leaving.signal });
    await response.body?.getReader().read();
    leaving.abort();
    await vi.waitUntil(() => proxy.observed.length === 1);
    held.response?.end(files.zip.subarray(SENT));
    expect(await cached(proxy)).toEqual([`${V}/v1.0.0.zip`]);
    expect((await get(`${proxy.url}${V}/v1.0.0.zip`)).body.equals(files.zip)).toBe(true);
    expect(upstream.asked).toHaveLength(1);
  });

  test('break the connections to their clients if upstream breaks its connection', async () => {
    const held = holdZip();
    const proxy = await start();
    const responses = await Promise.all([1, 2].map(() => fetch(`${proxy.url}${V}/v1.0.0.zip`)));
    const bodies = Promise.allSettled(responses.map((response) => response.arrayBuffer()));
    held.response?.destroy();
    expect((await bodies).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await cached(proxy)).toEqual([]);
  });

  test('are downloaded for a HEAD too, and its response has no body', async () => {
    const proxy = await start();
    const { status, headers, body } = await get(`${proxy.url}${V}/v1.0.0.zip`, { method: 'HEAD' });
    expect([status, headers.get('content-type'), body.length]).toEqual([200, 'application/zip', 0]);
    expect(await cached(proxy)).toEqual([`${V}/v1.0.0.zip`]);
    const { status: part } = await get(`${proxy.url}${V}/v1.0.0.zip`, { headers: { range: 'bytes=0-9' } });
    expect(part).toBe(206);
  });

  test.each<[string, (zip: Buffer) => Routes[string]]>([
    [
      'fewer bytes than Content-Length states',
      (zip) => (response) => {
        response.setHeader('content-length', zip.length);
        response.write(zip.subarray(0, 100), () => response.destroy());
      },
    ],
    [
      'an incomplete chunked body',
      (zip) => (response) => {
        response.write(zip.subarray(0, 100), () => response.destroy());
      },
    ],
    [
      'half a zip as a complete body without Content-Length',
      (zip) => (response) => {
        response.write(zip.subarray(0, 100), () => response.end());
      },
    ],
    [
      'the zip of another module',
      () => async (response) => {
        response.write((await makeModule('outside.example/other', 'v1.0.0')).zip, () => response.end());
      },
    ],
    ['a page in HTML', () => '<html>Please log in</html>'.repeat(10)],
  ])('are not cached if upstream sends %s, and the go command fails', async (_, route) => {
    routes[`${V}/v1.0.0.zip`] = route(files.zip);
    const proxy = await start();
    await using go = await startGo(proxy.url, { GONOSUMDB: '*' });
    const { ok } = await go.run('mod', 'download', `${MODULE}@v1.0.0`);
    expect(ok).toBe(false);
    expect((await cached(proxy)).filter((key) => key.endsWith('.zip'))).toEqual([]);
    expect(upstream.asked.filter((path) => path.endsWith('.zip'))).toHaveLength(1);
    routes[`${V}/v1.0.0.zip`] = files.zip;
    expect(await go.run('mod', 'download', `${MODULE}@v1.0.0`)).toMatchObject({ ok: true });
  });

  test.each<[string, (zip: Buffer, other: Buffer) => Buffer]>([
    ['the zip of another module', (_, other) => other],
    ['a zip without some bytes in the middle', (zip) => Buffer.concat([zip.subarray(0, 1000), zip.subarray(2000)])],
    ['a zip with another end', (zip) => Buffer.concat([zip.subarray(0, -22), Buffer.alloc(22, 'x')])],
  ])('are never sent to their end if upstream sends %s with a right Content-Length', async (_, wrong) => {
    const other = await makeModule('outside.example/other', 'v1.0.0', undefined, 512 * 1024);
    const zip = wrong(files.zip, other.zip);
    routes[`${V}/v1.0.0.zip`] = (response) => void response.setHeader('content-length', zip.length).end(zip);
    const proxy = await start();
    for (let times = 0; times < 2; times++) {
      const response = await fetch(`${proxy.url}${V}/v1.0.0.zip`);
      expect(response.headers.get('content-length')).toBe(String(zip.length));
      let received = 0;
      await expect(async () => {
        for await (const chunk of response.body as AsyncIterable<Uint8Array>) received += chunk.length;
      }).rejects.toThrow('terminated');
      expect(received).toBeLessThan(zip.length);
      expect(await cached(proxy)).toEqual([]);
    }
    await using go = await startGo(proxy.url, { GONOSUMDB: '*' });
    expect(await go.run('mod', 'download', `${MODULE}@v1.0.0`)).toMatchObject({
      ok: false,
      stderr: expect.stringContaining('unexpected EOF'),
    });
  });

  test('are a 502 with a reason if upstream sends something short instead of a zip, or more than a zip may have', async () => {
    routes[`${V}/v1.0.0.zip`] = '<html>Please log in</html>';
    const proxy = await start();
    expect(await get(`${proxy.url}${V}/v1.0.0.zip`)).toMatchObject({
      status: 502,
      text: expect.stringContaining('a zip for outside.example/hello@v1.0.0 that is truncated or belongs to another'),
    });
    routes[`${V}/v1.0.0.zip`] = (response) => void response.setHeader('content-length', 2 ** 30).write('PK');
    const { status, headers } = await get(`${proxy.url}${V}/v1.0.0.zip`);
    expect([status, headers.get('cache-control')]).toEqual([502, 'no-store']);
  });

  test('have their content encoding removed if upstream compresses them uninvited', async () => {
    for (const file of ['info', 'mod', 'zip'] as const)
      routes[`${V}/v1.0.0.${file}`] = (response) =>
        void response.setHeader('content-encoding', 'gzip').end(gzipSync(files[file]));
    const proxy = await start();
    for (const file of ['info', 'mod', 'zip'] as const) {
      const { headers, body } = await get(`${proxy.url}${V}/v1.0.0.${file}`);
      expect([headers.get('content-encoding'), body.equals(files[file])]).toEqual([null, true]);
    }
    routes[`${V}/v1.1.0.mod`] = (response) => void response.setHeader('content-encoding', 'br').end(files.mod);
    expect((await get(`${proxy.url}${V}/v1.1.0.mod`)).status).toBe(502);
  });

  test.each([
    ['v1.0.0.info', '<html>Please log in</html>'],
    ['v1.0.0.info', '{"Version":"v1.0.1"}'],
    ['v1.0.0.mod', '<html>Please log in</html>'],
    ['v1.0.0.mod', '<html>\nmodule of a page\n</html>'],
    ['main.info', '<html>Please log in</html>'],
    ['main.info', '{"Version":"main"}'],
    ['list', '<html>Please log in</html>'],
    ['list', 'v1.0.0\nPlease log in\n'],
    ['../@latest', '<html>Please log in</html>'],
    ['../@latest', '{"Version":"latest"}'],
  ])('are not cached if upstream sends an invalid %s', async (file, body) => {
    const { pathname: path } = new URL(`${V}/${file}`, upstream.url);
    const valid = routes[path];
    routes[path] = body;
    const proxy = await start();
    expect(await get(proxy.url + path)).toMatchObject({
      status: 502,
      text: expect.stringMatching(/127\.0\.0\.1:\d+ sent .* for outside\.example\/hello/),
    });
    expect(await cached(proxy)).toEqual([]);
    // The page that an earlier version has cached is not served either, and a valid response replaces it.
    await proxy.store.put(`upstream${path}`, Buffer.from(body));
    expect(await get(proxy.url + path)).toMatchObject({ status: 502 });
    routes[path] = valid ?? '';
    expect(await get(proxy.url + path)).toMatchObject({ status: 200, body: Buffer.from(String(valid)) });
    await proxy.settled();
    expect(String(await proxy.store.get(`upstream${path}`))).toBe(String(valid));
  });

  test.each([
    ['list', 4],
    ['main.info', 1],
    ['v1.0.0.mod', 16],
  ])('are a 502 if upstream sends too much as %s, of which at most %d MiB are kept in memory', async (file, limit) => {
    let sent = 0;
    routes[`${V}/${file}`] = (response) => sendLarge(response, 100 * 2 ** 20, (length) => (sent += length));
    const proxy = await start();
    expect(await get(`${proxy.url}${V}/${file}`)).toMatchObject({
      status: 502,
      text: expect.stringContaining(`more than ${limit * 2 ** 20} bytes`),
    });
    expect(sent).toBeLessThan(60 * 2 ** 20);
  });

  test('are requested each time for a list, @latest or a branch, and served from the cache in an outage', async () => {
    const proxy = await start();
    const paths = [`${V}/list`, `/${MODULE}/@latest`, `${V}/main.info`];
    for (const path of paths) await get(proxy.url + path);
    routes[`${V}/list`] = 'v1.0.0\nv1.1.0\n';
    const { text, headers } = await get(`${proxy.url}${V}/list`);
    expect(text).toBe('v1.0.0\nv1.1.0\n');
    expect(headers.get('cache-control')).toBe('public, max-age=60');
    expect(headers.get('warning')).toBeNull();
    await proxy.settled();
    await upstream.close();

    const restarted = await start({ folder: proxy.folder });
    for (const each of [proxy, restarted]) {
      for (const path of paths) {
        const answer = await get(each.url + path);
        expect(answer.status).toBe(200);
        expect(answer.headers.get('warning')).toContain('110');
        expect(answer.headers.get('cache-control')).toBe('no-cache');
      }
      expect((await get(`${each.url}${V}/list`)).text).toBe('v1.0.0\nv1.1.0\n');
      expect(await get(`${each.url}/outside.example/unknown/@v/list`)).toMatchObject({
        status: 502,
        text: expect.stringContaining('ECONNREFUSED'),
      });
    }
  });

  test('have the latest response in the cache, even if an earlier write takes longer', async () => {
    const slow = new EventEmitter();
    let writes = 0;
    const proxy = await start({
      wrap: (store) =>
        withStore(store, {
          async put(key, body) {
            if (writes++ === 0) await once(slow, 'over');
            await store.put(key, body);
          },
        }),
    });
    await get(`${proxy.url}${V}/list`);
    routes[`${V}/list`] = 'v1.0.0\nv1.1.0\n';
    await get(`${proxy.url}${V}/list`);
    slow.emit('over');
    await proxy.settled();
    expect(String(await proxy.store.get(`upstream${V}/list`))).toBe('v1.0.0\nv1.1.0\n');
  });

  test('are 404 if upstream responds with 404, even if an earlier response is in the cache', async () => {
    const proxy = await start();
    await get(`${proxy.url}${V}/list`);
    delete routes[`${V}/list`];
    const { status, text, headers } = await get(`${proxy.url}${V}/list`);
    expect([status, text]).toEqual([404, `not found: no ${V}/list here\nrequest id: ${headers.get('x-request-id')}\n`]);
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(headers.get('cache-control')).toBe('public, max-age=60');
  });

  test('are 410 with the text of upstream, shortened and without control characters', async () => {
    routes[`${V}/list`] = (response) => {
      response
        .writeHead(410, { 'content-type': 'text/plain' })
        .end(`gone\u001b[31m permanently\n${'line\n'.repeat(50)}`);
    };
    const proxy = await start();
    const { status, text } = await get(`${proxy.url}${V}/list`);
    expect(status).toBe(410);
    expect(text.split('\n')[0]).toBe('gone: gone[31m permanently');
    expect(text.trim().split('\n').length).toBeLessThanOrEqual(8);
  });

  test('never have an HTML page as the text of an error', async () => {
    routes[`${V}/list`] = (response) => void response.writeHead(404, { 'content-type': 'text/html' }).end('<script>');
    const proxy = await start();
    expect((await get(`${proxy.url}${V}/list`)).text).not.toContain('script');
  });

  test('are served from upstream if the store fails', async () => {
    const proxy = await start({
      wrap: (store) => withStore(store, { get: down, stat: down, open: down, put: down }),
    });
    for (let times = 0; times < 2; times++) {
      for (const file of ['info', 'mod', 'zip'] as const) {
        expect((await get(`${proxy.url}${V}/v1.0.0.${file}`)).body.equals(files[file])).toBe(true);
      }
      await proxy.settled();
    }
    // The second requests read the small files from memory.
    expect(upstream.asked).toEqual(['info', 'mod', 'zip', 'zip'].map((file) => `${V}/v1.0.0.${file}`));
    expect(proxy.log.join('')).toContain('cannot write to the cache');
  });

  test('are redirected to the first upstream proxy in redirect mode', async () => {
    const entries = parseGoproxy(`${upstream.url}/,https://never.example`);
    const proxy = await start({ externalModules: new RedirectedModules(entries) });
    const { status, headers } = await get(`${proxy.url}/github.com/%21azure/sdk/@v/v1.0.0.zip`);
    expect([status, headers.get('location')]).toEqual([302, `${upstream.url}/github.com/!azure/sdk/@v/v1.0.0.zip`]);
    await using go = await startGo(proxy.url, { GONOSUMDB: '*' });
    expect(await go.run('mod', 'download', `${MODULE}@v1.0.0`)).toMatchObject({ ok: true });
    expect((await get(`${proxy.url}/gitlab.example/a/@v/list`)).status).toBe(404);
    expect(await cached(proxy)).toEqual([]);
  });

  test('have the checksums of the public proxy for the real go command, even from the cache', async () => {
    const proxy = await start({ upstream: await goEnv('GOPROXY') });
    const expected = {
      Sum: 'h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=',
      GoModSum: 'h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=',
    };
    expect(await downloadQuote(proxy.url)).toMatchObject(expected);
    await proxy.settled();
    const cutOff = await start({ folder: proxy.folder, upstream: 'off' });
    expect(await downloadQuote(cutOff.url)).toMatchObject(expected);
  }, 60_000);
});

/** Returns the output of `go mod download -json` for a small public module. */
async function downloadQuote(url: string): Promise<unknown> {
  await using go = await startGo(url, { GONOSUMDB: '*' });
  const { stdout } = await go.run('mod', 'download', '-json', 'rsc.io/quote@v1.5.2');
  return JSON.parse(stdout);
}

async function down(): Promise<never> {
  throw new StoreUnavailable('down for the test');
}
