import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import express, { type Express } from 'express';
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { ClientLeft, Clients, type Client } from '../../src/proxy/client.ts';
import { NotFound, type ModuleSource } from '../../src/proxy/module-source.ts';
import { OnDemandModules } from '../../src/proxy/on-demand-modules.ts';
import { createProxyRouter } from '../../src/proxy/router.ts';
import { MemoryRequests } from '../../src/requests/memory-requests.ts';
import { groupOf, keepMs, type OnDemandAnswer, type OnDemandRequest } from '../../src/requests/on-demand-request.ts';
import { closeAfterTest } from '../services/close-after-test.ts';
import { listen } from '../services/http-stub.ts';
import { get } from './server.ts';

/** Sends requests on one connection, one directly after the other. */
async function send(url: string, paths: readonly string[], headers = ''): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').resume();
  await once(socket, 'connect');
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`).join(''));
  return socket;
}

describe('the client of a request', () => {
  let clients: Client[];
  let app: Express;

  beforeEach(() => {
    clients = [];
    const known = new Clients();
    app = express().use((request, response) => {
      clients.push(known.of(request));
      if (request.path === '/answered') response.end();
    });
  });

  test.each([
    ['loopback', '203.0.113.7', '203.0.113.7'],
    ['loopback', '2001:db8::1', '2001:db8::1'],
    ['loopback', 'any text: ***', '127.0.0.1'],
    [false, '203.0.113.7', '127.0.0.1'],
  ])('has, with the trusted proxy %s and X-Forwarded-For %s, the address %s', async (trusted, header, address) => {
    const server = closeAfterTest(await listen(app.set('trust proxy', trusted)));
    await get(`${server.url}/answered`, from(header));
    expect(clients.map((client) => client.address)).toEqual([address]);
  });

  test('leaves when its connection closes, whether or not the response before has been sent', async () => {
    const server = closeAfterTest(await listen(app));
    const socket = await send(server.url, ['/answered', ...Array.from({ length: 20 }, () => '/')]);
    const other = await send(server.url, ['/']);
    await expect.poll(() => clients.length).toBe(22);
    expect(clients.map(({ signal }) => signal?.aborted)).toEqual(clients.map(() => false));
    socket.destroy();
    await expect.poll(() => clients.filter(({ signal }) => signal?.aborted)).toHaveLength(21);
    expect(clients[0]?.signal?.reason).toBeInstanceOf(ClientLeft);
    other.destroy();
  });
});

function from(address: string): RequestInit {
  return { headers: { 'X-Forwarded-For': address } };
}

describe('an on-demand request', () => {
  const MODULE = 'gitlab.example/group/lib';
  let requests: MemoryRequests<OnDemandRequest, OnDemandAnswer>;
  let url: string;
  let log: string[];
  /** The queries that reached the worker. */
  let asked: string[];
  /** The number of clients that wait. */
  let waiting: number;

  beforeEach(async () => {
    log = [];
    asked = [];
    waiting = 0;
    const logger = pino({ level: 'debug' }, { write: (line: string) => void log.push(line) });
    requests = new MemoryRequests({ log: logger, keepMs, groupOf, subjectsOf: () => [] });
    const request: typeof requests.request = (...parameters) => {
      waiting++;
      return requests.request(...parameters).finally(() => waiting--);
    };
    const nothing: ModuleSource = { answer: () => Promise.reject(new NotFound('nothing')) };
    const router = createProxyRouter({
      isPrivate: () => true,
      privateModules: new OnDemandModules({
        published: nothing,
        requests: { request },
        withdrawnOf: async () => new Set(),
      }),
      externalModules: nothing,
      sumdb: { answer: () => expect.unreachable() },
      viaName: 'modpress-test',
      log: logger,
    });
    ({ url } = closeAfterTest(await listen(express().set('trust proxy', 'loopback').use(router))));
  });

  const infoPath = (query: string): string => `/${MODULE}/@v/${query}.info`;
  const serve = (): void =>
    requests.serve(1, async (request) => {
      if (request.kind === 'info') asked.push(request.query);
      return { kind: 'info', text: 'an answer' };
    });
  const linesWith = (text: string): number => log.filter((line) => line.includes(text)).length;

  test('is dropped when its last client has left, which is no error', async () => {
    const first = await send(url, ['gone', 'shared', 'gone-too'].map(infoPath));
    const second = await send(url, [infoPath('gone')]);
    const staying = get(`${url}${infoPath('shared')}`);
    await expect.poll(() => waiting).toBe(5);
    first.destroy();
    await expect.poll(() => waiting).toBe(2);
    second.destroy();
    await expect.poll(() => waiting).toBe(1);
    serve();
    expect(await staying).toMatchObject({ status: 200, text: 'an answer' });
    expect(asked).toEqual(['shared']);
    await expect.poll(() => linesWith('request.aborted')).toBe(4);
    expect(linesWith('"level":50')).toBe(0);
    await requests.close();
  });

  test('is refused while 1,000 others of its client for the module wait', async () => {
    const queries = Array.from({ length: 1_000 }, (_, index) => infoPath(`query${index}`));
    const socket = await send(url, queries, 'X-Forwarded-For: 203.0.113.1\r\n');
    await expect.poll(() => waiting).toBe(1_000);
    const { status, headers, text } = await get(`${url}${infoPath('one-more')}`, from('203.0.113.1'));
    expect([status, headers.get('retry-after')]).toEqual([503, '10']);
    expect(text).toContain('too many requests of your address are waiting');
    const others = [
      get(`${url}${infoPath('query0')}`, from('203.0.113.1')),
      get(`${url}${infoPath('one-more')}`, from('203.0.113.2')),
      get(`${url}/gitlab.example/group/other/@v/one-more.info`, from('203.0.113.1')),
    ];
    await expect.poll(() => waiting).toBe(1_003);
    serve();
    for (const { status: otherStatus } of await Promise.all(others)) expect(otherStatus).toBe(200);
    expect((await get(`${url}${infoPath('one-more')}`, from('203.0.113.1'))).status).toBe(200);
    socket.destroy();
    await requests.close();
  });
});
