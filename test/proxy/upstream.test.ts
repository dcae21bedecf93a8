import { beforeEach, describe, expect, test } from 'vitest';
import { get, startProxy, type TestProxy, type TestProxyOptions } from './server.ts';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { closeAfterTest } from '../services/close-after-test.ts';
import { sendSlowly, startStub, type Routes, type Stub } from '../services/http-stub.ts';

const V = '/outside.example/hello/@v';
const MOD = 'module outside.example/hello\n';

let upstream: Stub;

beforeEach(async () => {
  upstream = await stub({ [`${V}/v1.0.0.mod`]: MOD });
});

describe('a list of upstream proxies', () => {
  test.each([404, 410])('continues after %s at a comma', async (status) => {
    expect(await ask(`${(await failing(status)).url},${upstream.url}`)).toMatchObject({ status: 200 });
  });

  test.each([500, 403, 429])('stops after %s at a comma', async (status) => {
    expect(await ask(`${(await failing(status)).url},${upstream.url}`)).toMatchObject({
      status: status === 403 ? 403 : 502,
      text: expect.stringContaining('sorry'),
    });
    expect(upstream.asked).toEqual([]);
  });

  test('after a refused connection, stops at a comma and continues at a bar', async () => {
    expect(await ask(`${await refusing()},${upstream.url}`)).toMatchObject({ status: 502 });
    expect(await ask(`${await refusing()}|${upstream.url}`)).toMatchObject({ status: 200 });
  });

  test.each([500, 403, 404])('continues after %s at a bar', async (status) => {
    expect(await ask(`${(await failing(status)).url}|${upstream.url}`)).toMatchObject({ status: 200 });
  });

  test('continues after an incomplete body at a bar', async () => {
    const broken = await stub({
      [`${V}/v1.0.0.mod`]: (response) => void response.write('module', () => response.destroy()),
    });
    expect(await ask(`${broken.url}|${upstream.url}`)).toMatchObject({ status: 200, text: MOD });
  });

  test('reports the outage of one proxy rather than the 404 of another', async () => {
    expect(await ask(`${(await failing(500)).url}|${(await failing(404)).url}`)).toMatchObject({ status: 502 });
  });

  test('responds to direct with a 404 that explains what to do', async () => {
    expect(await ask('direct')).toMatchObject({
      status: 404,
      text: expect.stringContaining('GOPROXY=<this proxy>,direct'),
    });
    expect(await ask(`${(await failing(404)).url},direct`)).toMatchObject({
      status: 404,
      text: expect.stringContaining('sorry'),
    });
    expect(await ask(`${(await failing(500)).url}|direct`)).toMatchObject({ status: 404 });
    expect(await ask(`${(await failing(500)).url},direct`)).toMatchObject({ status: 502 });
  });

  test('responds to off with a 403, but keeps the 404 of a proxy before it', async () => {
    expect(await ask('off')).toMatchObject({
      status: 403,
      text: expect.stringMatching(/^refused: external modules are switched off/),
    });
    expect(await ask(`${(await failing(404)).url},off`)).toMatchObject({ status: 404 });
  });

  test.each([
    ['17', '17'],
    ['86400', '3600'],
    ['-99', null],
    ['1.5', null],
    ['0x10', null],
    ['soon', null],
    ['Sun, 06 Nov 1994 08:49:37 GMT', null],
  ])('passes on only a sensible Retry-After: %s as %s', async (received, sent) => {
    const busy = await stub({
      [`${V}/list`]: (response) => void response.writeHead(429, { 'retry-after': received }).end(),
    });
    const proxy = await start({ upstream: busy.url });
    const { status, headers } = await get(`${proxy.url}${V}/list`);
    expect([status, headers.get('retry-after')]).toEqual([502, sent]);
  });

  test('responds with 504 if a proxy sends no response, or stops during a response', async () => {
    const silent = await stub({
      [`${V}/v1.0.0.mod`]: () => {},
      [`${V}/v1.0.0.info`]: (response) => void response.write('{'),
    });
    const proxy = await start({ upstream: silent.url, timeouts: { headersMs: 300, idleMs: 300 } });
    for (const file of ['mod', 'info']) {
      expect(await get(`${proxy.url}${V}/v1.0.0.${file}`)).toMatchObject({
        status: 504,
        text: expect.stringContaining('took too long'),
      });
    }
  });

  test('responds with 504 to all clients if a small file, or the text of an error, does not end in time', async () => {
    const slow = await stub({
      [`${V}/v1.0.0.mod`]: sendSlowly,
      [`${V}/list`]: sendSlowly,
      '/sumdb/sum.example/latest': sendSlowly,
      [`${V}/v1.0.0.info`]: (response) => sendSlowly(response.writeHead(500, { 'content-type': 'text/plain' })),
    });
    const proxy = await start({ upstream: slow.url, timeouts: { smallBodyMs: 300 } });
    const paths = [`${V}/v1.0.0.mod`, `${V}/list`, '/sumdb/sum.example/latest'];
    for (const { status, text } of await Promise.all([...paths, ...paths].map((path) => get(proxy.url + path))))
      expect([status, text]).toEqual([504, expect.stringContaining('took too long')]);
    expect(await get(`${proxy.url}${V}/v1.0.0.info`)).toMatchObject({ status: 502 });
    expect(slow.asked).toHaveLength(4);
  });

  test('ends the download of a zip that arrives too slowly', async () => {
    const slow = await stub({ [`${V}/v1.0.0.zip`]: sendSlowly });
    const http = new HttpClient({ minimumRate: { bytes: 1000, windowMs: 300 } });
    const proxy = await start({ upstream: slow.url, http });
    const clients = await Promise.allSettled([1, 2].map(() => get(`${proxy.url}${V}/v1.0.0.zip`)));
    expect(clients.map((client) => client.status === 'fulfilled' && client.value.status === 200)).toEqual([
      false,
      false,
    ]);
    expect(proxy.log.join('')).toContain('sends too slowly');
  });

  test('repeats a request once if the connection is reset before the response', async () => {
    let lost = 0;
    const server = await stub({
      [`${V}/v1.0.0.mod`]: (response) => {
        if (lost++ === 0) response.destroy();
        else response.end(MOD);
      },
      [`${V}/v1.0.0.info`]: (response) => void response.destroy(),
    });
    expect(await ask(server.url)).toMatchObject({ status: 200, text: MOD });
    const proxy = await start({ upstream: server.url });
    expect((await get(`${proxy.url}${V}/v1.0.0.info`)).status).toBe(502);
    expect(server.asked).toEqual(['mod', 'mod', 'info', 'info'].map((file) => `${V}/v1.0.0.${file}`));
  });

  test('follows up to ten redirects, and sends credentials only to the server to which they belong', async () => {
    const seen: (string | undefined)[] = [];
    const other = await stub({
      '/there': (response, request) => {
        seen.push(request.headers.authorization);
        response.end(MOD);
      },
    });
    const first = await stub({
      [`${V}/v1.0.0.mod`]: (response, request) => {
        seen.push(request.headers.authorization);
        response.writeHead(302, { location: `${other.url}/there` }).end();
      },
      [`${V}/v1.0.0.info`]: (response, request) => void response.writeHead(302, { location: request.url }).end(),
    });
    const proxy = await start({ upstream: first.url.replace('//', '//me:secret@') });
    expect((await get(`${proxy.url}${V}/v1.0.0.mod`)).text).toBe(MOD);
    expect(seen).toEqual([`Basic ${Buffer.from('me:secret').toString('base64')}`, undefined]);
    const { status, text } = await get(`${proxy.url}${V}/v1.0.0.info`);
    expect([status, text]).toEqual([502, expect.stringContaining('more than 10 times')]);
    expect(first.asked.filter((path) => path.endsWith('.info'))).toHaveLength(11);
    expect(text + proxy.log.join('')).not.toContain('secret');
  });

  test('does not follow a redirect to a protocol other than HTTP', async () => {
    const odd = await stub({
      [`${V}/v1.0.0.mod`]: (response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    });
    expect(await ask(odd.url)).toMatchObject({ status: 502, text: expect.stringContaining('file://') });
  });
});

async function stub(routes: Routes): Promise<Stub> {
  return closeAfterTest(await startStub(routes));
}

async function start(options: TestProxyOptions): Promise<TestProxy> {
  return closeAfterTest(await startProxy(options));
}

/** Requests a go.mod from a proxy with the given list of upstream proxies. */
async function ask(list: string): Promise<{ status: number; text: string }> {
  const proxy = await start({ upstream: list });
  return await get(`${proxy.url}${V}/v1.0.0.mod`);
}

/** Starts an upstream proxy that responds with the status. */
async function failing(status: number): Promise<Stub> {
  return await stub({
    [`${V}/v1.0.0.mod`]: (response) => void response.writeHead(status, { 'content-type': 'text/plain' }).end('sorry\n'),
  });
}

/** Returns the URL of a server that refuses connections. */
async function refusing(): Promise<string> {
  const server = await startStub();
  await server.close();
  return server.url;
}
