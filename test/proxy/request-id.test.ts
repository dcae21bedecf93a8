import express from 'express';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { assignRequestIds } from '../../src/io/request-id.ts';
import { startGo } from './go.ts';
import { publish } from './modules.ts';
import { get, startProxy, withStore, type TestProxy } from './server.ts';
import { listen } from '../services/http-stub.ts';

const MODULE = 'gitlab.example/team/hello';
const GIVEN = 'front:4711.a-b_c';

describe('the request id', () => {
  let proxy: TestProxy;
  beforeEach(async () => {
    proxy = await startProxy({
      wrap: (store) =>
        withStore(store, {
          get: (key) => (key.includes('broken') ? Promise.reject(new Error('unexpected')) : store.get(key)),
        }),
    });
  });
  afterEach(() => proxy[Symbol.asyncDispose]());

  test('from a proxy in front of modpress is in the header, the log line and the last line of the error text', async () => {
    const { status, headers, text } = await get(`${proxy.url}/gitlab.example/broken/@v/v1.0.0.info`, {
      headers: { 'x-request-id': GIVEN },
    });
    expect([status, headers.get('x-request-id')]).toEqual([500, GIVEN]);
    expect(text.endsWith(`\nrequest id: ${GIVEN}\n`)).toBe(true);
    const logged = proxy.log.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(logged).toEqual([expect.objectContaining({ event: 'request.failed', requestId: GIVEN, status: 500 })]);
  });

  test.each([
    ['with spaces', 'an id with spaces'],
    ['of 500 characters', 'x'.repeat(500)],
    ['that is too short', 'abc'],
    ['with a line break as Unicode', 'abcdefgh\u0085request'],
    ['with markup', '<script>alert(1)</script>'],
  ])('%s is replaced', async (_, given) => {
    const { headers, text } = await get(`${proxy.url}/${MODULE}/@v/v9.9.9.info`, {
      headers: { 'x-request-id': given },
    });
    const id = headers.get('x-request-id') ?? '';
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(text.endsWith(`\nrequest id: ${id}\n`)).toBe(true);
    expect(text).not.toContain(given);
  });

  test('with a line break, which no HTTP client can send, is replaced too', async () => {
    const app = express().use(
      (request, _response, next) => {
        request.headers['x-request-id'] = `${GIVEN}\nforged: line`;
        next();
      },
      assignRequestIds(),
      (_request, response) => void response.end(),
    );
    await using server = await listen(app);
    expect((await get(server.url)).headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('differs for each request, and is in the header of a success too', async () => {
    await publish(proxy.store, MODULE, 'v1.0.0');
    const ids = await Promise.all(
      [1, 2].map(async () => (await get(`${proxy.url}/${MODULE}/@v/v1.0.0.info`)).headers.get('x-request-id')),
    );
    expect(new Set(ids).size).toBe(2);
  });

  test.each([
    ['400', '/gitlab.example/%zz/@v/list', 'GET'],
    ['403', '/outside.example/hello/@v/list', 'GET'],
    ['404', `/${MODULE}/@v/list`, 'GET'],
    ['405', `/${MODULE}/@v/list`, 'POST'],
  ])('ends the text of a %s, within the lines that the go command shows', async (status, path, method) => {
    const { status: actual, headers, text } = await get(proxy.url + path, { method });
    expect(String(actual)).toBe(status);
    const lines = text.split('\n');
    expect(lines.length).toBeLessThanOrEqual(9);
    expect(lines.indexOf('')).toBe(lines.length - 1);
    expect(lines.at(-2)).toBe(`request id: ${headers.get('x-request-id')}`);
  });

  test('is shown by the go command', async () => {
    await using go = await startGo(proxy.url);
    const { ok, stderr } = await go.run('mod', 'download', `${MODULE}@v1.0.0`);
    expect([ok, stderr]).toEqual([
      false,
      expect.stringMatching(/is not published here\n[^]*\n\s+request id: [0-9a-f-]{36}/),
    ]);
  });
});
