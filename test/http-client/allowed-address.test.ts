import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AddressNotAllowed, type Lookup } from '../../src/http-client/allowed-address.ts';
import { parseForwardProxy } from '../../src/http-client/forward-proxy.ts';
import { HttpClient, type HttpClientOptions } from '../../src/http-client/http-client.ts';
import { startForwardProxy } from '../services/forward-proxy.ts';

let server: ReturnType<typeof createServer>;
let port: number;
let connections: number;
let requests: string[];

beforeEach(async () => {
  connections = 0;
  requests = [];
  server = createServer((request, response) => {
    requests.push(request.url ?? '');
    response.end('internal');
  }).on('connection', () => connections++);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
});
afterEach(async () => {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
});

/** Resolves the names to these addresses, and no other name. */
function resolving(names: Readonly<Record<string, readonly string[]>>): Lookup {
  return (hostname, _options, callback) => {
    const addresses = names[hostname];
    if (addresses === undefined) callback(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }), []);
    else
      callback(
        null,
        addresses.map((address) => ({ address, family: 4 })),
      );
  };
}

function fetchFrom(http: HttpClient, url: string, isAllowedAddress?: (address: string) => boolean) {
  const signal = AbortSignal.timeout(10_000);
  return http.fetch(new URL(url), { signal, ...(isAllowedAddress && { isAllowedAddress }) });
}

const notLoopback = (address: string): boolean => !address.startsWith('127.');

test.each(['127.0.0.1', '2130706433', '0x7f.1', 'localhost', 'rebound.example'])(
  'a request to %s is refused without a connection if its address is not allowed',
  async (host) => {
    const http = new HttpClient(host === 'rebound.example' ? { lookup: resolving({ [host]: ['127.0.0.1'] }) } : {});
    await expect(fetchFrom(http, `http://${host}:${port}/`, notLoopback)).rejects.toThrow(AddressNotAllowed);
    expect([connections, requests]).toEqual([0, []]);
  },
);

test('a request uses only the allowed addresses of a name', async () => {
  const http = new HttpClient({ lookup: resolving({ 'both.example': ['127.0.0.99', '127.0.0.1'] }) });
  const response = await fetchFrom(http, `http://both.example:${port}/`, (address) => address === '127.0.0.1');
  expect([await response.text(), response.serverAddress]).toEqual(['internal', '127.0.0.1']);
});

test('a request does not use an earlier connection to an address that is not allowed', async () => {
  const http = new HttpClient();
  const first = await fetchFrom(http, `http://localhost:${port}/first`);
  expect(await first.text()).toBe('internal');
  await expect(fetchFrom(http, `http://localhost:${port}/second`, notLoopback)).rejects.toThrow(AddressNotAllowed);
  expect([connections, requests]).toEqual([1, ['/first']]);
  await (await fetchFrom(http, `http://localhost:${port}/third`, () => true)).text();
  expect(requests).toEqual(['/first', '/third']);
});

test('a name behind a forward proxy is refused only if this machine resolves it to an address that is not allowed', async () => {
  const hosts = { 'internal.example:80': port, 'only-there.example:80': port, '127.0.0.5:80': port };
  await using proxy = await startForwardProxy(hosts);
  const options: HttpClientOptions = {
    forwardProxies: { http: parseForwardProxy(proxy.url), https: undefined, isDirect: () => false },
    lookup: resolving({ 'internal.example': ['127.0.0.1'] }),
  };
  const http = new HttpClient(options);
  for (const host of ['internal.example', '127.0.0.5'])
    await expect(fetchFrom(http, `http://${host}/`, notLoopback)).rejects.toThrow(AddressNotAllowed);
  expect(proxy.seen).toEqual([]);
  const response = await fetchFrom(http, 'http://only-there.example/', notLoopback);
  expect([await response.text(), response.serverAddress]).toEqual(['internal', undefined]);
});
