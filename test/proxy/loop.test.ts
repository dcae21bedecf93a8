import { expect, test } from 'vitest';
import { isLoop, nextVia, viaName } from '../../src/proxy/via.ts';
import { startGo } from './go.ts';
import { get, startProxy } from './server.ts';
import { listen, startStub } from '../services/http-stub.ts';

const LIST = '/outside.example/hello/@v/list';
const SUPPORTED = '/sumdb/sum.example/supported';

/** A server that passes requests on to an address that is known only later, like a load balancer with several names. */
async function startAlias(): Promise<{ url: string; target: string } & AsyncDisposable> {
  const alias = { target: '' };
  const server = await listen((request, response) => {
    fetch(alias.target + (request.url ?? ''), { headers: { via: request.headers.via ?? '' } }).then(
      async (answer) => response.writeHead(answer.status, { 'content-type': 'text/plain' }).end(await answer.text()),
      () => response.destroy(),
    );
  });
  return Object.assign(alias, server);
}

test.each([LIST, SUPPORTED, '/outside.example/hello/@v/v1.0.0.zip'])(
  'a service that is its own upstream under another name answers at once and says so: %s',
  async (path) => {
    await using alias = await startAlias();
    await using proxy = await startProxy({ upstream: alias.url });
    alias.target = proxy.url;
    const { status, text } = await get(proxy.url + path);
    expect(status).toBe(502);
    expect(text).toContain('which is its own upstream\n');
    expect(text).toContain('correct UPSTREAM');
  },
);

test('a loop through two services ends too', async () => {
  await using alias = await startAlias();
  await using inner = await startProxy({ upstream: alias.url, viaName: 'modpress-inner' });
  await using outer = await startProxy({ upstream: inner.url, viaName: 'modpress-outer' });
  alias.target = outer.url;
  const { status, text } = await get(outer.url + LIST);
  expect([status, text]).toEqual([502, expect.stringContaining('which is its own upstream')]);
});

test('the go command shows the reason', async () => {
  await using alias = await startAlias();
  await using proxy = await startProxy({ upstream: alias.url });
  alias.target = proxy.url;
  await using go = await startGo(proxy.url, { GONOSUMDB: '*' });
  const { ok, stderr } = await go.run('mod', 'download', 'outside.example/hello@v1.0.0');
  expect([ok, stderr]).toEqual([false, expect.stringContaining('which is its own upstream')]);
});

test('a service may have another service as its upstream', async () => {
  const seen: (string | undefined)[] = [];
  await using origin = await startStub({
    [LIST]: (response, request) => {
      seen.push(request.headers.via);
      response.end('v1.0.0\n');
    },
  });
  await using inner = await startProxy({ upstream: origin.url, viaName: 'modpress-inner' });
  await using outer = await startProxy({ upstream: inner.url, viaName: 'modpress-outer' });
  expect(await get(outer.url + LIST, { headers: { via: '1.1 nginx' } })).toMatchObject({
    status: 200,
    text: 'v1.0.0\n',
  });
  expect(seen).toEqual(['1.1 nginx, 1.1 modpress-outer, 1.1 modpress-inner']);
});

test('the name in Via is the same for the replicas of a service and differs between services', () => {
  const name = viaName(['https://gitlab.example', 'gitlab.example', '', 'bucket/']);
  expect(viaName(['https://gitlab.example', 'gitlab.example', '', 'bucket/'])).toBe(name);
  expect(viaName(['https://gitlab.example', 'gitlab.example', '', 'other/'])).not.toBe(name);
  expect(isLoop(nextVia('1.0 fred, 1.1 p.example.com:8080 (a comment)', name), name)).toBe(true);
  expect(isLoop('1.0 fred, 1.1 p.example.com:8080 (a comment)', name)).toBe(false);
  expect(isLoop(undefined, name)).toBe(false);
  expect(isLoop(Array.from({ length: 21 }, () => '1.1 other').join(', '), name)).toBe(true);
});
