import { EventEmitter, once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { StoreUnavailable, type OpenObject, type Store } from '../../src/store/store.ts';
import { makeModule, publish } from './modules.ts';
import { get, startProxy, withStore, type TestProxy } from './server.ts';
import { startStub, type Stub } from '../services/http-stub.ts';

const PRIVATE = 'gitlab.example/team/hello';
const EXTERNAL = 'outside.example/hello';

let upstream: Stub;
let proxy: TestProxy;
/** The calls of the store for zips, such as `open` or `open 0-9`. */
let calls: string[];
/** The bodies that the store has opened. */
let bodies: Readable[];
/** Replaces the object that the store has opened. */
let replaceBody: ((object: OpenObject) => OpenObject) | undefined;
/** Runs before the store opens a zip. */
let beforeOpen: (() => Promise<void>) | undefined;
let storeIsDown: boolean;

beforeEach(async () => {
  calls = [];
  bodies = [];
  replaceBody = undefined;
  beforeOpen = undefined;
  storeIsDown = false;
  const external = await makeModule(EXTERNAL, 'v1.0.0');
  upstream = await startStub({ [`/${EXTERNAL}/@v/v1.0.0.zip`]: external.zip });
  proxy = await startProxy({ upstream: upstream.url, wrap: recording });
  await publish(proxy.store, PRIVATE, 'v1.0.0');
  // After the first requests, the external zip is in the store, and the private .info in memory.
  for (const module of [PRIVATE, EXTERNAL]) await get(zipOf(module));
  await proxy.settled();
  calls = [];
  bodies = [];
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  await upstream.close();
});

describe.each([
  ['private', PRIVATE],
  ['external', EXTERNAL],
])('a stored zip of a %s module', (_, module) => {
  test('is opened once for a GET, without a stat', async () => {
    const { status, headers, body } = await get(zipOf(module));
    expect([status, body.length]).toEqual([200, Number(headers.get('content-length'))]);
    expect(headers.get('last-modified')).not.toBeNull();
    expect(calls).toEqual(['open']);
    await expectAllDestroyed();
  });

  test('needs one stat for a HEAD, which returns the headers of a GET', async () => {
    const head = await get(zipOf(module), { method: 'HEAD' });
    expect([head.status, calls]).toEqual([200, ['stat']]);
    const whole = await get(zipOf(module));
    for (const name of ['etag', 'last-modified', 'content-length', 'accept-ranges', 'cache-control', 'content-type'])
      expect(head.headers.get(name)).toBe(whole.headers.get(name));
  });

  test('needs one stat if the client already has it, and otherwise also an open', async () => {
    const etag = (await get(zipOf(module))).headers.get('etag') ?? '';
    calls = [];
    expect((await get(zipOf(module), { headers: { 'if-none-match': etag } })).status).toBe(304);
    expect(calls).toEqual(['stat']);
    calls = [];
    expect((await get(zipOf(module), { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
    expect(calls).toEqual(['stat', 'open']);
    await expectAllDestroyed();
  });

  test('is opened in part for a range, after a stat that returns its size', async () => {
    expect((await get(zipOf(module), { headers: { range: 'bytes=0-9' } })).status).toBe(206);
    expect(calls).toEqual(['stat', 'open 0-9']);
    calls = [];
    expect((await get(zipOf(module), { headers: { range: 'bytes=99999-' } })).status).toBe(416);
    expect(calls).toEqual(['stat']);
    await expectAllDestroyed();
  });

  test('is opened once for each of several concurrent clients', async () => {
    const sizes = await Promise.all(Array.from({ length: 5 }, async () => (await get(zipOf(module))).body.length));
    expect(new Set(sizes).size).toBe(1);
    expect(calls).toEqual(Array(5).fill('open'));
    await expectAllDestroyed();
  });

  test('is closed if the client disconnects during the response', async () => {
    // The body never ends, so only the end of the connection can close it.
    replaceBody = (object) => ({ ...object, size: 2 ** 40, body: endless() });
    const request = httpRequest(zipOf(module), (response) => response.once('data', () => request.destroy()));
    request.on('error', () => {
      // The test closes the connection itself.
    });
    request.end();
    await expect.poll(() => bodies.map((body) => body.destroyed)).toEqual([true]);
    await expect.poll(() => proxy.log.filter((line) => line.includes('"request.aborted"'))).toHaveLength(1);
  });

  test('is closed if the client disconnects before the store has opened it', async () => {
    const gate = new EventEmitter();
    beforeOpen = async () => void (await once(gate, 'open'));
    const request = httpRequest(zipOf(module));
    request.on('error', () => {
      // The test closes the connection itself.
    });
    request.end();
    await vi.waitUntil(() => calls.length === 1);
    const observed = proxy.observed.length;
    request.destroy();
    // The server has noticed the end of the connection.
    await vi.waitUntil(() => proxy.observed.length > observed);
    gate.emit('open');
    await expect.poll(() => bodies.map((body) => body.destroyed)).toEqual([true]);
  });

  test('is closed, together with the connection, if the store fails during the response', async () => {
    replaceBody = (object) => {
      const body = new PassThrough();
      body.write('PK\u0003\u0004 and more');
      setImmediate(() => body.destroy(new StoreUnavailable('down in the middle')));
      return { ...object, size: 2 ** 20, body };
    };
    await expect(get(zipOf(module))).rejects.toThrow('terminated');
    await expectAllDestroyed();
    expect(proxy.log.filter((line) => line.includes('"response.interrupted"'))).toHaveLength(1);
  });
});

test.each<[string, (zip: Buffer) => Buffer]>([
  ['half of the zip', (zip) => zip.subarray(0, zip.length / 2)],
  ['a page', () => Buffer.from('<html>Please log in</html>')],
  ['a long page', () => Buffer.from(`<html>${'Please log in'.repeat(100_000)}</html>`)],
])('a zip is never sent whole if the store returns %s, and an external zip is downloaded again', async (_, wrong) => {
  const zip = (await makeModule(EXTERNAL, 'v1.0.0')).zip;
  replaceBody = (object) => {
    const bytes = wrong(zip);
    return { ...object, size: bytes.length, body: Readable.from([bytes]) };
  };
  for (const module of [PRIVATE, EXTERNAL]) {
    const { status, headers } = await get(zipOf(module));
    expect([status, headers.get('cache-control')]).toEqual([503, 'no-store']);
  }
  expect((await get(zipOf(EXTERNAL))).body.equals(zip)).toBe(true);
  await proxy.settled();
  replaceBody = undefined;
  for (const module of [PRIVATE, EXTERNAL]) expect((await get(zipOf(module))).status).toBe(200);
  expect(upstream.asked).toHaveLength(2);
});

test('a large zip breaks off before its end if the store returns half of it', async () => {
  const { zip } = await makeModule(PRIVATE, 'v1.0.0', undefined, 2 ** 20);
  replaceBody = (object) => {
    const bytes = zip.subarray(0, zip.length / 2);
    return { ...object, size: bytes.length, body: Readable.from([bytes.subarray(0, 1000), bytes.subarray(1000)]) };
  };
  await expect(get(zipOf(PRIVATE))).rejects.toThrow(/terminated|fetch failed/);
});

test('the response for a private zip is 503, without the headers of a zip, if the store cannot open the zip', async () => {
  storeIsDown = true;
  const { status, headers } = await get(zipOf(PRIVATE));
  expect(status).toBe(503);
  for (const name of ['etag', 'accept-ranges', 'last-modified']) expect(headers.get(name)).toBeNull();
  expect(calls).toEqual(['open']);
});

test('an external zip comes from upstream if the store cannot open it', async () => {
  storeIsDown = true;
  expect((await get(zipOf(EXTERNAL))).status).toBe(200);
  expect(upstream.asked).toHaveLength(2);
});

function recording(store: Store): Store {
  return withStore(store, {
    async stat(key) {
      if (key.endsWith('.zip')) calls.push('stat');
      return await store.stat(key);
    },
    async open(key, range) {
      if (!key.endsWith('.zip')) return await store.open(key, range);
      calls.push(range ? `open ${range.first}-${range.last}` : 'open');
      if (storeIsDown) throw new StoreUnavailable('down for the test');
      await beforeOpen?.();
      const opened = await store.open(key, range);
      if (opened === undefined) return undefined;
      const object = replaceBody?.(opened) ?? opened;
      if (object !== opened) opened.body.destroy();
      bodies.push(object.body);
      return object;
    },
  });
}

function endless(): Readable {
  const body = new PassThrough();
  body.write('PK\u0003\u0004');
  const write = (): void => {
    while (!body.destroyed && body.write(Buffer.alloc(64 * 1024)));
  };
  body.on('drain', write);
  write();
  return body;
}

function zipOf(module: string): string {
  return `${proxy.url}/${module}/@v/v1.0.0.zip`;
}

/** Expects that all opened bodies are destroyed, which can happen shortly after the client has received their end. */
async function expectAllDestroyed(): Promise<void> {
  expect(bodies.length).toBeGreaterThan(0);
  await expect.poll(() => bodies.every((body) => body.destroyed)).toBe(true);
}
