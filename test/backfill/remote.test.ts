import { expect, test } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { initialProgress, type BackfillProgress } from '../../src/backfill/backfill-progress.ts';
import { backfillRemotely } from '../../src/backfill/remote.ts';
import { listen, sendLarge } from '../services/http-stub.ts';

const REQUEST = { targets: [], dryRun: false };

/** Requests a backfill from the service at this URL, and follows it. */
function follow(
  url: string,
  onProgress: (progress: BackfillProgress) => void = () => undefined,
  signal = new AbortController().signal,
): Promise<BackfillProgress> {
  return backfillRemotely({ http: new HttpClient(), url, token: 'the-token' }, REQUEST, onProgress, signal);
}

test.each<[string, number, Record<string, string>, string, string | RegExp]>([
  [
    'a redirect',
    301,
    { Location: 'https://go.example/-/backfill' },
    '',
    'redirects to https://go.example: if this is the address of the service, use it as --url',
  ],
  [
    'an HTML page of something else',
    200,
    { 'Content-Type': 'text/html' },
    '<!DOCTYPE html>\n<title>Sign in</title>',
    '(200): --url must be the address of a service with the role webhook or worker',
  ],
  [
    'a process without this route',
    404,
    { 'Content-Type': 'text/html; charset=utf-8' },
    '<!DOCTYPE html>',
    /no backfill service answers at \S+ \(404\)/,
  ],
  [
    'a reverse proxy in front of a service that is down',
    503,
    { 'Content-Type': 'text/html' },
    '<html>',
    'answered 503',
  ],
  ['a body that is not JSON', 202, {}, 'ok', 'does not match this version of modpress'],
])('reports %s in one line', async (_name, status, headers, body, sentence) => {
  await using service = await listen((_request, response) => response.writeHead(status, headers).end(body));
  await expect(follow(service.url)).rejects.toThrow(sentence);
  await expect(follow(service.url)).rejects.not.toThrow('<');
});

test('ends at once if it is interrupted before the first response', async () => {
  const stop = new AbortController();
  await using service = await listen(() => stop.abort());
  expect(await follow(service.url, undefined, stop.signal)).toMatchObject({ state: 'waiting' });
});

test.each(['POST', 'GET'])('does not read a large response to a %s to its end', async (method) => {
  let sent = 0;
  const stop = new AbortController();
  await using service = await listen((request, response) => {
    response.writeHead(request.method === 'POST' ? 202 : 200);
    const running = { ...initialProgress(false), state: 'running' };
    if (request.method === method) sendLarge(response, 100 * 2 ** 20, (length) => (sent += length), ['"', '"']);
    else response.end(JSON.stringify({ id: 'x', followToken: 'y', progress: running }));
  });
  const following = follow(service.url, ({ waiting }) => waiting !== undefined && stop.abort(), stop.signal);
  if (method === 'POST') await expect(following).rejects.toThrow('the body is larger than');
  else await following;
  expect(sent).toBeLessThan(50 * 2 ** 20);
});

test('reports that it waits while the service does not answer', async () => {
  const reported: (string | undefined)[] = [];
  const stop = new AbortController();
  await using service = await listen((request, response) => {
    if (request.method === 'POST')
      response
        .writeHead(202)
        .end(JSON.stringify({ id: 'x', followToken: 'y', progress: { ...initialProgress(false), state: 'running' } }));
    else response.destroy();
  });
  const onProgress = ({ waiting }: BackfillProgress): void => {
    reported.push(waiting);
    if (reported.length === 2) stop.abort();
  };
  await follow(service.url, onProgress, stop.signal);
  expect(reported).toEqual([undefined, 'the service does not answer; waiting up to 120 s']);
});
