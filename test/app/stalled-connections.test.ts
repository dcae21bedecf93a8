import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createHttpServer, stopHttpServer } from '../../src/app/http-server.ts';

const MEGABYTE = 2 ** 20;
/** The minimum rate of the test server. */
const RATE = { bytes: 64 * 1024, windowMs: 600 };

/** Starts a server with the rate. Returns its port and its log lines. */
async function serve(listener: RequestListener): Promise<{ port: number; log: string[] }> {
  const log: string[] = [];
  const server = createHttpServer(listener, pino({}, { write: (line) => void log.push(line) }), RATE);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    await stopHttpServer(server);
  });
  return { port: (server.address() as AddressInfo).port, log };
}

function request(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined).write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  return socket;
}

/** A body of so many megabytes. */
function body(megabytes: number): Readable {
  return Readable.from(Array<Buffer>(megabytes).fill(Buffer.alloc(MEGABYTE, 'x')));
}

test('a client that stops reading is disconnected, and the source of its response is closed', async () => {
  const source = body(1000);
  const { port, log } = await serve((_, response) => void pipeline(source, response).catch(() => undefined));
  const socket = request(port);
  await once(socket, 'readable');
  await expect.poll(() => source.destroyed).toBe(true);
  expect(log.map((line) => JSON.parse(line) as unknown)).toEqual([
    expect.objectContaining({ event: 'connection.stalled', remote: '127.0.0.1' }),
  ]);
});

test('a slow client that keeps the rate gets the whole response', async () => {
  const { port, log } = await serve((_, response) => void pipeline(body(16), response).catch(() => undefined));
  let received = 0;
  for await (const chunk of request(port)) {
    received += (chunk as Buffer).length;
    // The client needs several windows in all.
    await delay(5);
    if (received > 16 * MEGABYTE) break;
  }
  expect(received).toBeGreaterThan(16 * MEGABYTE);
  expect(log).toEqual([]);
});

test('a client that waits for a slow response is not disconnected', async () => {
  let writes = 0;
  const { port, log } = await serve((_, response) => {
    const timer = setInterval(() => {
      if (++writes < 15) return response.write('x');
      clearInterval(timer);
      return response.end();
    }, 100);
  });
  const socket = request(port);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await vi.waitUntil(() => text.endsWith('0\r\n\r\n'), 10_000);
  expect(log).toEqual([]);
});
