import { createServer, type AddressInfo } from 'node:net';
import { expect, onTestFinished, test as base } from 'vitest';
import { messageOf } from '../../src/errors.ts';
import { createTrust, readCertificates } from '../../src/http-client/certificates.ts';
import { parseForwardProxy } from '../../src/http-client/forward-proxy.ts';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { parseNoProxy } from '../../src/http-client/no-proxy.ts';
import { createCertificates, startTls } from '../services/certificates.ts';
import { startForwardProxy } from '../services/forward-proxy.ts';
import { freePort } from '../services/free-port.ts';
import { startStub } from '../services/http-stub.ts';

const test = base
  .extend('certificates', { scope: 'file' }, async ({}, { onCleanup }) => {
    const certificates = await createCertificates('DNS:secure.corp.test,IP:127.0.0.1');
    onCleanup(() => certificates[Symbol.asyncDispose]());
    return certificates;
  })
  /** A server that responds with the path and the headers that it has received. */
  .extend('server', { scope: 'file' }, async ({}, { onCleanup }) => {
    const server = await startStub({
      '/x?y=1': (response, { url, headers }) => response.end(JSON.stringify({ url, ...headers })),
    });
    onCleanup(() => server.close());
    return server;
  })
  .extend('secureServer', { scope: 'file' }, async ({ certificates, server }, { onCleanup }) => {
    const secureServer = await startTls(certificates, portOf(server.url));
    onCleanup(() => secureServer[Symbol.asyncDispose]());
    return secureServer;
  })
  /** Two hosts that have names only at this proxy. */
  .extend('proxy', async ({ server, secureServer }, { onCleanup }) => {
    const hosts = { 'plain.corp.test:80': portOf(server.url), 'secure.corp.test:443': secureServer.port };
    const proxy = await startForwardProxy(hosts, 'user:p@ss');
    onCleanup(() => proxy[Symbol.asyncDispose]());
    return proxy;
  })
  .extend('fetchThrough', async ({ certificates }, { onCleanup }) => {
    const clients: HttpClient[] = [];
    onCleanup(() => {
      for (const client of clients) client.close();
    });
    return async (proxyUrl: string, url: string, { isTrusted = true, noProxy = '' } = {}) => {
      const proxy = parseForwardProxy(proxyUrl);
      const http = new HttpClient({
        forwardProxies: { http: proxy, https: proxy, isDirect: parseNoProxy(noProxy) },
        trust: () => createTrust(isTrusted ? readCertificates(certificates.caFile) : [], {}),
      });
      clients.push(http);
      return await http.fetch(new URL(url), { signal: AbortSignal.timeout(10_000) });
    };
  });

test.for([
  ['http://plain.corp.test/x?y=1', 'plain.corp.test', 'GET http://plain.corp.test/x?y=1'],
  ['https://secure.corp.test/x?y=1', 'secure.corp.test', 'CONNECT secure.corp.test:443'],
] as const)('a request to %s goes through the proxy', async ([url, host, seen], { proxy, fetchThrough }) => {
  const response = await fetchThrough(proxy.url.replace('//', '//user:p%40ss@'), url);
  const received: unknown = await response.json();
  expect(received).toMatchObject({ url: '/x?y=1', host });
  expect(received).not.toHaveProperty('proxy-authorization');
  expect(proxy.seen).toEqual([seen]);
});

test('the connection to the proxy can use TLS', async ({ proxy, certificates, fetchThrough }) => {
  await using tls = await startTls(certificates, portOf(proxy.url));
  for (const url of ['http://plain.corp.test/x?y=1', 'https://secure.corp.test/x?y=1']) {
    const response = await fetchThrough(`https://user:p%40ss@127.0.0.1:${tls.port}`, url);
    expect(await response.json()).toMatchObject({ url: '/x?y=1' });
  }
  expect(proxy.seen).toHaveLength(2);
});

test('NO_PROXY and loopback addresses are reached directly', async ({ server, proxy, fetchThrough }) => {
  expect((await fetchThrough(proxy.url, `${server.url}/x?y=1`)).status).toBe(200);
  await expect(
    fetchThrough(proxy.url, 'https://secure.corp.test/', { noProxy: 'other.test,.corp.test:443' }),
  ).rejects.toThrow(/getaddrinfo/);
  expect(proxy.seen).toEqual([]);
});

test.for(['http://plain.corp.test/', 'https://secure.corp.test/'])(
  'a proxy that requires credentials fails a request to %s, and the error says what to set',
  async (url, { proxy, fetchThrough }) => {
    await expect(fetchThrough(proxy.url, url)).rejects.toThrow(
      /^the forward proxy 127\.0\.0\.1:\d+ refuses the connection to \S+ \(407 Proxy Authentication Required\): set the user/,
    );
  },
);

test('the response of a proxy never looks like a response of an https server', async ({ proxy, fetchThrough }) => {
  await expect(fetchThrough(proxy.url.replace('//', '//user:p%40ss@'), 'https://absent.corp.test/')).rejects.toThrow(
    /refuses the connection to absent\.corp\.test:443 \(404 Not Found\)$/,
  );
});

test.for(['http://plain.corp.test/', 'https://secure.corp.test/'])(
  'a proxy that cannot be reached is named in the error for %s',
  async (url, { fetchThrough }) => {
    const error: unknown = await fetchThrough(`127.0.0.1:${await freePort()}`, url).catch((thrown: unknown) => thrown);
    expect(messageOf(error)).toMatch(/^the forward proxy 127\.0\.0\.1:\d+ cannot be used: connect ECONNREFUSED/);
  },
);

test('a proxy that accepts a connection but sends nothing delays the end of a client by nothing', async ({}) => {
  const silent = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void silent.close());
  await new Promise((resolve) => void silent.once('listening', resolve));
  const proxy = parseForwardProxy(`127.0.0.1:${(silent.address() as AddressInfo).port}`);
  const http = new HttpClient({ forwardProxies: { http: proxy, https: proxy, isDirect: parseNoProxy('') } });
  const response = http.fetch(new URL('https://secure.corp.test/'), { signal: AbortSignal.timeout(20_000) });
  const connected = new Promise((resolve) => void silent.once('connection', resolve));
  await connected;
  http.close();
  await expect(response).rejects.toThrow('cannot be used');
});

test('a certificate of an unknown CA is not trusted, and the error says what to set', async ({
  secureServer,
  proxy,
  certificates,
  fetchThrough,
}) => {
  const untrusted = /is not trusted \(UNABLE_TO_VERIFY_LEAF_SIGNATURE\): set CA_FILE to a PEM file/;
  const isTrusted = false;
  for (const url of [`https://127.0.0.1:${secureServer.port}/`, 'https://secure.corp.test/'])
    await expect(fetchThrough(proxy.url.replace('//', '//user:p%40ss@'), url, { isTrusted })).rejects.toThrow(
      untrusted,
    );
  await using tls = await startTls(certificates, portOf(proxy.url));
  for (const url of ['http://plain.corp.test/', 'https://secure.corp.test/']) {
    const error: unknown = await fetchThrough(`https://127.0.0.1:${tls.port}`, url, { isTrusted }).catch(
      (thrown: unknown) => thrown,
    );
    expect(messageOf(error)).toMatch(/^the forward proxy 127\.0\.0\.1:\d+ cannot be used: the certificate of 127/);
    expect(messageOf(error)).toMatch(untrusted);
  }
});

test('the CAs of the machine and of Node are trusted, from SSL_CERT_FILE and NODE_EXTRA_CA_CERTS too', async ({
  secureServer,
  certificates,
}) => {
  const url = new URL(`https://127.0.0.1:${secureServer.port}/x?y=1`);
  for (const name of ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS']) {
    const http = new HttpClient({ trust: () => createTrust([], { [name]: certificates.caFile }) });
    onTestFinished(() => http.close());
    expect((await http.fetch(url, { signal: AbortSignal.timeout(10_000) })).status).toBe(200);
  }
});

function portOf(url: string): number {
  return Number(new URL(url).port);
}
