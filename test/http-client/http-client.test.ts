import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { listen, startStub } from '../services/http-stub.ts';

const MEGABYTES = 64;
/**
 * A server that sends MEGABYTES in many small chunks, as fast as it can. It runs in a process of its own, because it
 * has to be faster than the reader.
 */
const SENDER = `
  const { createServer } = require('node:http');
  const { Readable } = require('node:stream');
  const chunk = Buffer.alloc(2 ** 14, 'x');
  const server = createServer((_, response) => Readable.from(Array(${MEGABYTES} * 64).fill(chunk)).pipe(response));
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

test('fetch keeps a body in the connection, and not in memory, until the reader takes it', async () => {
  const sender = spawn(process.execPath, ['-e', SENDER]);
  onTestFinished(() => void sender.kill());
  const [port] = (await once(sender.stdout, 'data')) as [Buffer];
  const response = await new HttpClient().fetch(new URL(`http://127.0.0.1:${port.toString().trim()}/`), {
    signal: new AbortController().signal,
  });
  const before = process.memoryUsage().arrayBuffers;
  let received = 0;
  let maxBuffered = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    received += chunk.length;
    await turn();
    maxBuffered = Math.max(maxBuffered, process.memoryUsage().arrayBuffers - before);
  }
  expect(received).toBe(MEGABYTES * 2 ** 20);
  // Uncollected garbage alone can be as large as the body. With fetch, which copies each chunk, it would be twice as
  // large.
  expect(maxBuffered).toBeLessThan(MEGABYTES * 2 ** 20 * 1.25);
}, 120_000);

test('fetch reports a body that breaks off to the reader, and a missing response to the caller', async () => {
  await using server = await listen((request, response) => {
    if (request.url === '/none') return request.socket.destroy();
    response.writeHead(200, { 'content-length': 100 }).write('part');
    return setTimeout(() => request.socket.destroy(), 10);
  });
  const signal = new AbortController().signal;
  const http = new HttpClient();
  await expect(http.fetch(new URL('/none', server.url), { signal })).rejects.toMatchObject({
    code: 'ECONNRESET',
  });
  const response = await http.fetch(new URL(server.url), { signal });
  await expect(response.text()).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test('fetch decodes gzip, and refuses an encoding that it did not request', async () => {
  const body = gzipSync('hello');
  await using server = await startStub({
    '/gzip': (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(body),
    '/truncated': (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(body.subarray(0, 15)),
    '/br': (response) => response.writeHead(200, { 'content-encoding': 'br' }).end('hello'),
    '/none': (response) => response.writeHead(204).end(),
  });
  const http = new HttpClient();
  const fetch = (path: string) => http.fetch(new URL(path, server.url), { signal: AbortSignal.timeout(10_000) });
  const response = await fetch('/gzip');
  expect([await response.text(), response.headers.get('content-length')]).toEqual(['hello', null]);
  await expect((await fetch('/truncated')).text()).rejects.toThrow('unexpected end of file');
  await expect(fetch('/br')).rejects.toThrow('the response has the unknown content encoding br');
  expect([(await fetch('/none')).status, (await fetch('/none')).body]).toEqual([204, null]);
});

test('fetch sends a body with its length', async () => {
  await using server = await startStub({
    '/': (response, request) => {
      void text(request).then((body) => response.end(`${request.method} ${request.headers['content-length']} ${body}`));
    },
  });
  const request = { method: 'POST', body: 'é', signal: AbortSignal.timeout(10_000) };
  expect(await (await new HttpClient().fetch(new URL(server.url), request)).text()).toBe('POST 2 é');
});
