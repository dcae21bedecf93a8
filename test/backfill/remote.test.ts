import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { notBegun, type BackfillProgress } from '../../src/backfill/backfill-progress.ts';
import { backfillRemotely } from '../../src/backfill/remote.ts';

const request = { targets: [], dryRun: false };

let server: Server;
let answer: RequestListener;
let url: string;
beforeEach(async () => {
  server = createServer((incoming, outgoing) => answer(incoming, outgoing)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
});

function follow(
  onProgress: (progress: BackfillProgress) => void = () => undefined,
  signal = new AbortController().signal,
): Promise<BackfillProgress> {
  return backfillRemotely({ url, token: 'the-token' }, request, onProgress, signal);
}

test.each<[string, number, Record<string, string>, string, string]>([
  [
    'an address that is redirected',
    301,
    { Location: 'https://go.example/-/backfill' },
    '',
    'redirects to https://go.example: if that is the service, give it as --url',
  ],
  [
    'the page of something else',
    200,
    { 'Content-Type': 'text/html' },
    '<!DOCTYPE html>\n<title>Sign in</title>',
    'takes backfills (200): --url has to be the address of a service with the role webhook or worker',
  ],
  [
    'a process that has no such route',
    404,
    { 'Content-Type': 'text/html; charset=utf-8' },
    '<!DOCTYPE html>',
    'takes backfills (404)',
  ],
  ['a proxy in front of a service that is down', 503, { 'Content-Type': 'text/html' }, '<html>', 'answers 503'],
  ['what is no JSON', 202, {}, 'ok', 'is no modpress of this version'],
])('%s is told in one line', async (_name, status, headers, body, sentence) => {
  answer = (_incoming, outgoing) => void outgoing.writeHead(status, headers).end(body);
  await expect(follow()).rejects.toThrow(sentence);
  await expect(follow()).rejects.not.toThrow('<');
});

test('interrupted before there is an answer, it ends at once', async () => {
  const stop = new AbortController();
  answer = () => stop.abort();
  expect(await follow(undefined, stop.signal)).toMatchObject({ state: 'waiting' });
});

test('while the service is silent, that is told', async () => {
  const told: (string | undefined)[] = [];
  const stop = new AbortController();
  answer = (incoming, outgoing) => {
    if (incoming.method === 'POST')
      outgoing
        .writeHead(202)
        .end(JSON.stringify({ id: 'x', followToken: 'y', progress: { ...notBegun(false), state: 'running' } }));
    else outgoing.destroy();
  };
  await follow(({ waiting }) => {
    told.push(waiting);
    if (told.length === 2) stop.abort();
  }, stop.signal);
  expect(told).toEqual([undefined, 'the service does not answer, and is waited for up to 120 s']);
});
