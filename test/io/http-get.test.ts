import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { httpGet } from '../../src/io/http-get.ts';
import { listen } from '../services/http-stub.ts';

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

test('httpGet keeps a body in the connection, and not in memory, until the reader takes it', async () => {
  const sender = spawn(process.execPath, ['-e', SENDER]);
  onTestFinished(() => void sender.kill());
  const [port] = (await once(sender.stdout, 'data')) as [Buffer];
  const response = await httpGet(new URL(`http://127.0.0.1:${port.toString().trim()}/`), {
    headers: {},
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

test('httpGet reports a body that breaks off to the reader, and a missing response to the caller', async () => {
  await using server = await listen((request, response) => {
    if (request.url === '/none') return request.socket.destroy();
    response.writeHead(200, { 'content-length': 100 }).write('part');
    return setTimeout(() => request.socket.destroy(), 10);
  });
  const signal = new AbortController().signal;
  await expect(httpGet(new URL('/none', server.url), { headers: {}, signal })).rejects.toMatchObject({
    code: 'ECONNRESET',
  });
  const response = await httpGet(new URL(server.url), { headers: {}, signal });
  await expect(response.text()).rejects.toMatchObject({ code: 'ECONNRESET' });
});
