import { lookup } from 'node:dns';
import { beforeEach, describe, expect, test } from 'vitest';
import { parseForwardProxy } from '../../src/http-client/forward-proxy.ts';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { parseNoProxy } from '../../src/http-client/no-proxy.ts';
import { startForwardProxy, type ForwardProxyService } from '../services/forward-proxy.ts';
import { closeAfterTest } from '../services/close-after-test.ts';
import { startStub, type Stub } from '../services/http-stub.ts';
import { get, startProxy, type TestProxy } from './server.ts';

const V = '/outside.example/hello/@v';
const MOD = 'module outside.example/hello\n';

/** The upstream. It redirects each request to `location`. */
let upstream: Stub;
let location: string;
/** A server with an address of this machine only. */
let internal: Stub;
let forwardProxy: ForwardProxyService;

beforeEach(async () => {
  upstream = await startStub({
    [`${V}/v1.0.0.mod`]: (response) => void response.writeHead(302, { location }).end(),
    '/elsewhere': MOD,
  });
  internal = await startStub({ '/secret.mod': MOD });
  const port = Number(new URL(upstream.url).port);
  const away = await startStub({
    '/there': MOD,
    '/back': (response) => void response.writeHead(302, { location: `${internal.url}/secret.mod` }).end(),
  });
  forwardProxy = await startForwardProxy({
    'upstream.example:80': port,
    'storage.example:80': Number(new URL(away.url).port),
    '10.1.2.3:80': port,
    '169.254.169.254:80': port,
  });
  for (const server of [upstream, internal, away, forwardProxy]) closeAfterTest(server);
});

/** Starts a proxy that reaches loopback addresses directly, and all others through the forward proxy. */
async function start(url: string, privateHosts = ''): Promise<TestProxy> {
  const http = new HttpClient({
    // Only the forward proxy can resolve the other names.
    lookup: (hostname, options, callback) => {
      if (hostname === 'localhost') lookup(hostname, options, callback);
      else callback(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }), []);
    },
    forwardProxies: { http: parseForwardProxy(forwardProxy.url), https: undefined, isDirect: parseNoProxy('') },
  });
  return closeAfterTest(await startProxy({ upstream: url, http, privateHosts }));
}

/** The address of the internal server under another name or in another form. */
function internalAt(host: string): string {
  return `http://${host}:${new URL(internal.url).port}/secret.mod`;
}

describe('a redirect of an upstream on the internet', () => {
  test.each(['127.0.0.1', '127.1', '2130706433', 'localhost', '[::ffff:127.0.0.1]', '0.0.0.0'])(
    'to the loopback address %s is refused, and the server there gets no request',
    async (host) => {
      location = internalAt(host);
      const proxy = await start('http://upstream.example');
      const { status, text } = await get(`${proxy.url}${V}/v1.0.0.mod`);
      expect([status, text]).toEqual([
        502,
        expect.stringMatching(/upstream\.example redirected to .*\n.*UPSTREAM_PRIVATE_HOSTS/),
      ]);
      expect(internal.asked).toEqual([]);
    },
  );

  test.each(['10.1.2.3', '169.254.169.254'])('to %s through a forward proxy is refused', async (host) => {
    location = `http://${host}/elsewhere`;
    const proxy = await start('http://upstream.example');
    expect((await get(`${proxy.url}${V}/v1.0.0.mod`)).status).toBe(502);
    expect(forwardProxy.seen).toEqual([`GET http://upstream.example${V}/v1.0.0.mod`]);
  });

  test.each(['127.0.0.0/8', 'localhost', '127.0.0.1'])('is followed if UPSTREAM_PRIVATE_HOSTS is %s', async (hosts) => {
    location = internalAt(hosts === 'localhost' ? hosts : '127.0.0.1');
    const proxy = await start('http://upstream.example', hosts);
    expect(await get(`${proxy.url}${V}/v1.0.0.mod`)).toMatchObject({ status: 200, text: MOD });
  });

  test.each(['http://upstream.example/elsewhere', 'http://storage.example/there', '/elsewhere'])(
    'to %s is followed, because only the forward proxy can resolve the name',
    async (target) => {
      location = target;
      const proxy = await start('http://upstream.example');
      expect(await get(`${proxy.url}${V}/v1.0.0.mod`)).toMatchObject({ status: 200, text: MOD });
    },
  );
});

describe('a redirect of an upstream on this machine', () => {
  test('to this machine is followed', async () => {
    location = internalAt('localhost');
    const proxy = await start(upstream.url);
    expect(await get(`${proxy.url}${V}/v1.0.0.mod`)).toMatchObject({ status: 200, text: MOD });
  });

  test.each(['http://10.1.2.3/elsewhere', 'http://169.254.169.254/elsewhere'])(
    'to an address of another kind is refused: %s',
    async (target) => {
      location = target;
      const proxy = await start(upstream.url);
      expect((await get(`${proxy.url}${V}/v1.0.0.mod`)).status).toBe(502);
      expect(forwardProxy.seen).toEqual([]);
    },
  );

  test('to the internet is followed, but not from there back to this machine', async () => {
    location = 'http://storage.example/there';
    const proxy = await start(upstream.url);
    expect(await get(`${proxy.url}${V}/v1.0.0.mod`)).toMatchObject({ status: 200, text: MOD });
    location = 'http://storage.example/back';
    const second = await start(upstream.url);
    expect((await get(`${second.url}${V}/v1.0.0.mod`)).status).toBe(502);
    expect(internal.asked).toEqual([]);
  });
});
