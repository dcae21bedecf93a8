import { Redis } from 'ioredis';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';
import { test } from './fixtures.ts';

/** Sends a path exactly as it is, which fetch does not. */
async function rawGet(
  url: string,
  path: string,
): Promise<{ status: number | undefined; type: string | undefined; text: string }> {
  const { hostname, port } = new URL(url);
  return await new Promise((resolve, reject) => {
    request({ hostname, port, path }, (response) => {
      text(response).then(
        (body) => resolve({ status: response.statusCode, type: response.headers['content-type'], text: body }),
        reject,
      );
    })
      .on('error', reject)
      .end();
  });
}

test('keeps idle connections open for longer than load balancers do', async ({ service }) => {
  const response = await fetch(`${service.url}/-/healthz`);
  expect(response.headers.get('keep-alive')).toBe('timeout=75');
});

test.for([
  ['GET', '/-/unknown', 404, /^not found: .*no route GET \/-\/unknown\nrequest id: \S+\n$/],
  ['POST', '/-/unknown', 404, /^not found: .*no route POST \/-\/unknown\nrequest id: \S+\n$/],
  ['GET', '/-/backfill/%zz', 400, /^bad request: the request is not valid\nrequest id: \S+\n$/],
] as const)('answers %s %s with %i and a line of text', async ([method, path, status, expected], { service }) => {
  const response = await fetch(service.url + path, { method });
  expect([response.status, response.headers.get('content-type')]).toEqual([status, 'text/plain; charset=utf-8']);
  expect(await response.text()).toMatch(expected);
});

test('answers a path that is no URL with a line of text', async ({ service }) => {
  const { status, type, text: body } = await rawGet(service.url, '/-/%c0%ae/%2e%2e');
  expect([status, type]).toEqual([404, 'text/plain; charset=utf-8']);
  expect(body).toMatch(/^not found: /);
});

test('writes nothing but lines of JSON, even if Redis refuses the command INFO', async ({ redis, startProcess }) => {
  const admin = new Redis(redis.url);
  await admin.acl('SETUSER', 'limited', 'on', '>password', '~*', '&*', '+@all', '-info');
  admin.disconnect();
  const url = new URL(redis.url);
  url.username = 'limited';
  url.password = 'password';
  const service = await startProcess({ REDIS_URL: url.href }, 'webhook');
  const message = await service.logged('library.message');
  expect([message.level, message['text']]).toEqual(['warn', expect.stringContaining('INFO command fails')]);
  const unknown = await fetch(`${service.url}/-/unknown`);
  expect(await unknown.text()).toMatch(/^not found: this process \(webhook\) has no route GET \/-\/unknown\n/);
  // The fixture fails if the service has written anything else.
});
