import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { publish, type ModuleFiles } from './modules.ts';
import { get, startProxy, type TestProxy } from './server.ts';

const MODULE = 'gitlab.example/team/hello';

describe('the proxy over HTTP', () => {
  let proxy: TestProxy;
  let files: ModuleFiles;
  let zip: string;
  beforeEach(async () => {
    proxy = await startProxy();
    files = await publish(proxy.store, MODULE, 'v1.0.0');
    zip = `${proxy.url}/${MODULE}/@v/v1.0.0.zip`;
  });
  afterEach(async () => await proxy[Symbol.asyncDispose]());

  test('responds to HEAD with the headers of GET and no body', async () => {
    for (const file of ['list', 'v1.0.0.info', 'v1.0.0.zip', 'v9.0.0.zip']) {
      const url = `${proxy.url}/${MODULE}/@v/${file}`;
      const [head, whole] = [await get(url, { method: 'HEAD' }), await get(url)];
      expect([head.status, head.body.length]).toEqual([whole.status, 0]);
      for (const name of ['content-length', 'content-type', 'cache-control', 'etag'])
        expect(head.headers.get(name)).toBe(whole.headers.get(name));
    }
  });

  test.each(['POST', 'PUT', 'DELETE', 'PATCH'])('does not allow %s', async (method) => {
    const { status, headers } = await get(zip, { method });
    expect([status, headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    expect((await get(zip)).status).toBe(200);
  });

  test('responds with 304 if If-None-Match shows that the client has the content', async () => {
    for (const url of [zip, `${proxy.url}/${MODULE}/@v/list`]) {
      const { headers } = await get(url);
      const etag = headers.get('etag') ?? '';
      expect(etag).toMatch(/^"[^"]+"$/);
      for (const known of [etag, `"x", W/${etag}`, '*']) {
        const again = await get(url, { headers: { 'if-none-match': known } });
        expect([again.status, again.body.length, again.headers.get('etag')]).toEqual([304, 0, etag]);
      }
      expect((await get(url, { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
    }
  });

  test('sends another ETag for a list that has changed', async () => {
    const etag = (await get(`${proxy.url}/${MODULE}/@v/list`)).headers.get('etag') ?? '';
    await publish(proxy.store, MODULE, 'v1.1.0');
    expect((await get(`${proxy.url}/${MODULE}/@v/list`, { headers: { 'if-none-match': etag } })).status).toBe(200);
  });

  test.each([
    ['bytes=0-9', 0, 10],
    ['bytes=5-', 5, undefined],
    ['bytes=-7', -7, undefined],
    ['bytes=10-99999', 10, undefined],
    ['bytes=-99999', 0, undefined],
  ])('serves a part of a zip for Range: %s', async (range, start, end) => {
    const { status, body, headers } = await get(zip, { headers: { range } });
    const part = files.zip.subarray(start, end);
    expect([status, body.equals(part)]).toEqual([206, true]);
    const first = start < 0 ? files.zip.length + start : start;
    expect(headers.get('content-range')).toBe(`bytes ${first}-${first + part.length - 1}/${files.zip.length}`);
  });

  test.each(['bytes=99999-', 'bytes=-0'])('responds with 416 to Range: %s', async (range) => {
    const { status, headers, body } = await get(zip, { headers: { range } });
    expect([status, body.length]).toEqual([416, 0]);
    expect(headers.get('content-range')).toBe(`bytes */${files.zip.length}`);
  });

  test.each([
    ['with several parts', { range: 'bytes=0-1,3-4' }],
    ['whose end is before its start', { range: 'bytes=5-2' }],
    ['in units other than bytes', { range: 'lines=0-1' }],
    ['of another version of the file (If-Range)', { range: 'bytes=0-1', 'if-range': '"other"' }],
  ])('serves the whole zip for a range %s', async (_, headers: Record<string, string>) => {
    const { status, body } = await get(zip, { headers });
    expect([status, body.equals(files.zip)]).toEqual([200, true]);
  });

  test('serves a part if If-Range contains the ETag of the file', async () => {
    const etag = (await get(zip)).headers.get('etag') ?? '';
    expect((await get(zip, { headers: { range: 'bytes=0-1', 'if-range': etag } })).status).toBe(206);
  });

  test('explains why a URL is invalid', async () => {
    const malformed = await get(`${proxy.url}/gitlab.example/%zz/@v/list`);
    expect([malformed.status, malformed.text]).toEqual([
      400,
      `bad request: malformed percent-encoding in the URL\nrequest id: ${malformed.headers.get('x-request-id')}\n`,
    ]);
    expect(await get(`${proxy.url}/gitlab.example/Team/@v/list`)).toMatchObject({
      status: 404,
      text: expect.stringContaining('an upper-case X must be written as !x'),
    });
    expect(await get(`${proxy.url}/favicon.ico`)).toMatchObject({ status: 404 });
  });

  test('forbids content sniffing, and reports every request once', async () => {
    await get(zip);
    await get(zip, { method: 'POST' });
    expect((await get(`${proxy.url}/gitlab.example/none/@latest`)).headers.get('x-content-type-options')).toBe(
      'nosniff',
    );
    // The connections can close in any order.
    await expect
      .poll(() => proxy.observed.toSorted())
      .toEqual(['invalid 405', 'private/latest 404', 'private/zip 200']);
  });
});
