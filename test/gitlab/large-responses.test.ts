import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { GitLabClient } from '../../src/gitlab/client.ts';
import type { BlobId, CommitId } from '../../src/gitlab/schema.ts';
import { listen, sendLarge, sendSlowly } from '../services/http-stub.ts';

const MEGABYTE = 2 ** 20;
const BLOB = '0'.repeat(40) as BlobId;

function clientFor(url: string, http = new HttpClient()): GitLabClient {
  return new GitLabClient({ http, url, token: 'token', beforeCall: async () => undefined });
}

test.each([
  [200, 'application/json', ['"', '"']],
  [200, 'text/html', ['<html>', '</html>']],
  [500, 'application/json', ['{"message":"', '"}']],
  [404, 'text/html', ['<html>', '</html>']],
] as const)('a response of 200 MB with status %i and type %s is not read to its end', async (status, type, ends) => {
  let sent = 0;
  let requests = 0;
  await using server = await listen((_, response) => {
    requests++;
    response.writeHead(status, { 'content-type': type });
    sendLarge(response, 200 * MEGABYTE, (length) => (sent += length), ends);
  });
  await expect(clientFor(server.url).tag(1, 'v1.0.0')).rejects.toMatchObject({ name: 'Retry' });
  expect(sent / requests).toBeLessThan(60 * MEGABYTE);
});

test('an archive that arrives byte by byte fails', async () => {
  await using server = await listen((_, response) => sendSlowly(response));
  const http = new HttpClient({ minimumRate: { bytes: 1000, windowMs: 300 } });
  const archive = await clientFor(server.url, http).archive(1, BLOB as string as CommitId, '');
  await expect(buffer(archive)).rejects.toThrow('fewer than 1000 bytes arrived');
});

test('an archive or a blob with a content encoding is decoded, or refused', async () => {
  const body = gzipSync('hello');
  let encoding = 'gzip';
  await using server = await listen((_, response) =>
    response.writeHead(200, { 'content-encoding': encoding }).end(gzipSync(body)),
  );
  const client = clientFor(server.url);
  expect(await buffer(await client.archive(1, BLOB as string as CommitId, ''))).toEqual(body);
  expect(await buffer(await client.blob(1, BLOB))).toEqual(body);
  encoding = 'br';
  await expect(client.archive(1, BLOB as string as CommitId, '')).rejects.toMatchObject({
    name: 'Retry',
    cause: { message: 'the response has the unknown content encoding br' },
  });
});
