import { once } from 'node:events';
import { readdir, readlink } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { closeAfterTest } from '../services/close-after-test.ts';
import { startStub, type Routes, type Stub } from '../services/http-stub.ts';
import { makeModule, publish } from './modules.ts';
import { get, startProxy, type TestProxy, type TestProxyOptions } from './server.ts';

const ZIP_BYTES = 20 * 2 ** 20;

let routes: Routes;
let upstream: Stub;

beforeEach(async () => {
  routes = {};
  upstream = closeAfterTest(await startStub(routes));
});

async function start(options: TestProxyOptions = {}): Promise<TestProxy> {
  return closeAfterTest(await startProxy({ upstream: upstream.url, ...options }));
}

/** Starts a request whose client does not read the response until the test does. */
async function stall(url: string): Promise<IncomingMessage> {
  const sent = request(url, { agent: false });
  onTestFinished(() => void sent.destroy());
  sent.on('error', () => undefined).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  response.on('error', () => undefined);
  return response;
}

/** Returns the paths of the open files of this process that contain the text. */
async function openFiles(text: string): Promise<string[]> {
  const descriptors = await readdir('/proc/self/fd');
  // A descriptor may be closed in the meantime.
  const paths = await Promise.all(descriptors.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')));
  return paths.filter((path) => path.includes(text));
}

describe('stalled clients of zips that are being downloaded', () => {
  test('keep no temporary file once the zips are in the cache, and get the rest from there', async () => {
    const zips = new Map<string, Buffer>();
    for (let index = 0; index < 4; index++) {
      const path = `outside.example/m${'x'.repeat(index)}`;
      const { zip } = await makeModule(path, 'v1.0.0', undefined, ZIP_BYTES);
      routes[`/${path}/@v/v1.0.0.zip`] = zip;
      zips.set(path, zip);
    }
    const proxy = await start();
    const clients = await Promise.all([...zips.keys()].map((path) => stall(`${proxy.url}/${path}/@v/v1.0.0.zip`)));
    await proxy.settled();
    expect(await openFiles('(deleted)')).toEqual([]);
    expect((await openFiles('.zip')).length).toBeLessThanOrEqual(1);
    const received = await Promise.all(clients.map((client) => buffer(client)));
    for (const [index, zip] of [...zips.values()].entries()) expect(received[index]?.equals(zip)).toBe(true);
    expect(await openFiles('.zip')).toEqual([]);
  }, 60_000);

  test('get a broken response if the zip has left the cache', async () => {
    const { zip } = await makeModule('outside.example/m', 'v1.0.0', undefined, ZIP_BYTES);
    routes['/outside.example/m/@v/v1.0.0.zip'] = zip;
    const proxy = await start();
    const client = await stall(`${proxy.url}/outside.example/m/@v/v1.0.0.zip`);
    await proxy.settled();
    await proxy.store.delete('upstream/outside.example/m/@v/v1.0.0.zip');
    await expect(buffer(client).then(({ length }) => length)).rejects.toThrow('aborted');
  });
});

describe('the number of open zips is limited', () => {
  const PRIVATE = 'gitlab.example/team/hello';

  async function startWithPrivateZip(options: TestProxyOptions): Promise<{ proxy: TestProxy; url: string }> {
    const proxy = await start(options);
    await publish(proxy.store, PRIVATE, 'v1.0.0', undefined, ZIP_BYTES);
    return { proxy, url: `${proxy.url}/${PRIVATE}/@v/v1.0.0.zip` };
  }

  test('beyond it, a request gets 503 with Retry-After', async () => {
    const { url } = await startWithPrivateZip({ maxOpenZips: 3, zipWaitMs: 100 });
    const clients = await Promise.all([1, 2, 3].map(() => stall(url)));
    const answers = await Promise.all(Array.from({ length: 5 }, () => get(url)));
    for (const { status, headers } of answers)
      expect([status, headers.get('retry-after'), headers.get('cache-control')]).toEqual([503, '10', 'no-store']);
    expect(await openFiles('.zip')).toHaveLength(3);
    // Requests without a body need no open zip.
    expect((await get(url, { method: 'HEAD' })).status).toBe(200);
    clients[0]?.destroy();
    await expect.poll(async () => (await get(url)).status).toBe(200);
  });

  test('a request waits until another one has ended', async () => {
    const { url } = await startWithPrivateZip({ maxOpenZips: 1 });
    const first = await stall(url);
    const others = Promise.all([1, 2, 3].map(() => get(url)));
    await buffer(first);
    for (const { status, body } of await others) expect([status, body.length > ZIP_BYTES]).toEqual([200, true]);
    expect(await openFiles('.zip')).toEqual([]);
  });

  test('the downloads from upstream are limited too', async () => {
    let isHeld = true;
    for (const name of ['a', 'b']) {
      const { zip } = await makeModule(`outside.example/${name}`, 'v1.0.0');
      routes[`/outside.example/${name}/@v/v1.0.0.zip`] = (response) =>
        void (isHeld ? response.write(zip.subarray(0, 10)) : response.end(zip));
    }
    const proxy = await start({ maxZipDownloads: 1, zipWaitMs: 100 });
    const held = new AbortController();
    const first = get(`${proxy.url}/outside.example/a/@v/v1.0.0.zip`, { signal: held.signal }).catch(() => undefined);
    await expect.poll(() => upstream.asked.length).toBe(1);
    const { status, headers } = await get(`${proxy.url}/outside.example/b/@v/v1.0.0.zip`);
    expect([status, headers.get('retry-after'), upstream.asked.length]).toEqual([503, '10', 1]);
    held.abort();
    await first;
    isHeld = false;
    await upstream.close();
  });
});
