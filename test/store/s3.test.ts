import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { Client } from 'minio';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { HttpClient } from '../../src/http-client/http-client.ts';
import { openStore } from '../../src/store/open-store.ts';
import { S3Store } from '../../src/store/s3.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { sendLarge, sendSlowly } from '../services/http-stub.ts';
import { type Minio, startMinio } from '../services/minio.ts';
import { describeStore, keys, pieces } from './contract.ts';

const MB = 1024 * 1024;

describeStore('S3Store', async () => {
  const minio = await startMinio();
  const store = new S3Store({ http: new HttpClient(), ...minio, bucket: await minio.bucket(), prefix: 'some/prefix' });
  return {
    store,
    takeDown: () => minio.stop(),
    bringBack: () => minio.start(),
    close: async () => {
      const left = await incompleteUploads(minio);
      await minio.close();
      if (left.length > 0) throw new Error(`parts of uploads were left behind: ${left.join(' ')}`);
    },
  };
});

describe('S3Store on MinIO', () => {
  let minio: Minio;
  let client: Client;

  beforeAll(async () => {
    minio = await startMinio();
    const { hostname, port } = new URL(minio.endpoint);
    client = new Client({
      endPoint: hostname,
      port: Number(port),
      useSSL: false,
      accessKey: minio.accessKey,
      secretKey: minio.secretKey,
      region: minio.region,
    });
  });

  afterAll(async () => {
    await minio.close();
  });

  const storeIn = (
    bucket: string,
    options: { prefix?: string; accessKey?: string; secretKey?: string } = {},
  ): S3Store => new S3Store({ http: new HttpClient(), ...minio, bucket, ...options });

  it('is opened from settings, and its check creates a missing bucket', async () => {
    const { endpoint, accessKey, secretKey, region } = minio;
    const store = await openStore(
      {
        kind: 's3',
        bucket: 'not-there-yet',
        prefix: '',
        endpoint,
        accessKey,
        secretKey,
        region,
      },
      new HttpClient(),
    );
    await expect(store.get('x')).rejects.toThrow(/the bucket does not exist; create it/);

    const [first, second] = [store, storeIn('not-there-yet')];
    // Replicas that start together make such calls.
    await Promise.all(Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? first : second).check()));
    await store.put('x', Buffer.from('x'));
    expect(await keys(second.list(''))).toEqual(['x']);
  });

  it('distinguishes a missing bucket from a missing object', async () => {
    const store = storeIn('no-such-bucket');
    const attempts = [
      () => store.get('x'),
      () => store.stat('x'),
      () => store.open('x'),
      () => keys(store.list('')),
      () => store.put('x', Buffer.from('x')),
      () => store.put('x', { stream: pieces(20 * MB) }),
      () => store.delete('x'),
    ];
    for (const attempt of attempts) {
      await expect(attempt()).rejects.toThrow(StoreUnavailable);
      await expect(attempt()).rejects.toThrow(/no-such-bucket .*the bucket does not exist; create it/);
    }
  });

  it.each([
    ['access key', { accessKey: 'somebody-else' }],
    ['secret key', { secretKey: 'not-the-secret' }],
  ])('distinguishes a wrong %s from a missing object, and does not print it', async (_, wrong) => {
    const store = storeIn(await minio.bucket(), wrong);
    const attempts = [
      () => store.get('x'),
      () => keys(store.list('')),
      () => store.put('x', Buffer.from('x')),
      () => store.check(),
    ];
    for (const attempt of attempts) {
      await expect(attempt()).rejects.toThrow(StoreUnavailable);
      await expect(attempt()).rejects.toThrow(/AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/);
      await expect(attempt()).rejects.not.toThrow(/not-the-secret/);
    }
    // The response to HEAD states only that access is denied.
    await expect(store.stat('x')).rejects.toThrow(StoreUnavailable);
  });

  it('reads and writes only below its prefix', async () => {
    const bucket = await minio.bucket();
    const [whole, one, other] = [
      storeIn(bucket),
      storeIn(bucket, { prefix: '/one/' }),
      storeIn(bucket, { prefix: 'one-more' }),
    ];
    await one.put('modules/x', Buffer.from('1'));
    await other.put('modules/x', Buffer.from('2'));
    await whole.put('modules/x', Buffer.from('3'));

    expect((await one.get('modules/x'))?.toString()).toBe('1');
    expect(await keys(one.list(''))).toEqual(['modules/x']);
    expect(await keys(one.list('', { after: 'modules/w' }))).toEqual(['modules/x']);
    expect(await keys(whole.list(''))).toEqual(['modules/x', 'one-more/modules/x', 'one/modules/x']);
    await one.delete('modules/x');
    expect(await one.stat('modules/x')).toBeUndefined();
    expect(await keys(whole.list(''))).toEqual(['modules/x', 'one-more/modules/x']);
  });

  it('rejects an object whose bytes were replaced without its checksum', async () => {
    const bucket = await minio.bucket();
    const store = storeIn(bucket);
    await store.put('x', Buffer.from('the whole object'));
    const { metaData } = await client.statObject(bucket, 'x');
    await client.putObject(bucket, 'x', Buffer.from('the whole'), 9, { sha256: String(metaData['sha256']) });
    await expect(store.get('x')).rejects.toThrow(/does not have the checksum with which it was stored/);
    await client.putObject(bucket, 'x', Buffer.from('by another tool'));
    expect(String(await store.get('x'))).toBe('by another tool');
  });

  it('lists only objects with a valid key, without the folder markers of other tools', async () => {
    const bucket = await minio.bucket();
    await client.putObject(bucket, 'modules/', Buffer.alloc(0));
    await client.putObject(bucket, 'modules/x', Buffer.from('x'));
    expect(await keys(storeIn(bucket).list(''))).toEqual(['modules/x']);
  });

  it.each([
    ['modules/a/@v/v1.0.0.info', 'application/json'],
    ['outcomes/1/v1.0.0@abc.json', 'application/json'],
    ['modules/a/@v/v1.0.0.mod', 'text/plain; charset=utf-8'],
    ['modules/a/@v/list', 'text/plain; charset=utf-8'],
    ['modules/a/@v/v1.0.0.zip', 'application/zip'],
    ['sumdb/x/tile/8/0/000', 'application/octet-stream'],
  ])('stores %s as %s, in one part or in several', async (key, type) => {
    const bucket = await minio.bucket();
    for (const body of [Buffer.from('x'), { stream: pieces(9 * MB) }]) {
      await storeIn(bucket).put(key, body);
      expect((await client.statObject(bucket, key)).metaData['content-type']).toBe(type);
    }
  });

  it.each([8 * MB - 1, 8 * MB, 8 * MB + 1, 16 * MB])(
    'stores %d bytes around the size of a part unchanged, from a buffer or a stream',
    async (size) => {
      const store = storeIn(await minio.bucket());
      const expected = await buffer(pieces(size));
      for (const body of [
        expected,
        { stream: pieces(size) },
        { stream: pieces(size), size },
        { stream: Readable.from([expected]) },
      ]) {
        await store.put('x', body);
        expect((await store.get('x'))?.equals(expected)).toBe(true);
      }
    },
  );

  it('removes the parts of an upload whose stream fails', async () => {
    const bucket = await minio.bucket();
    const store = storeIn(bucket);
    const before = await incompleteUploads(minio);
    let during: string[] = [];
    const stream = Readable.from(
      (async function* () {
        yield* pieces(20 * MB);
        during = await incompleteUploads(minio);
        throw new Error('broken in the middle');
      })(),
    );
    await expect(store.put('x', { stream })).rejects.toThrow('broken in the middle');
    // The upload must have had parts to remove.
    expect(during.length).toBeGreaterThan(before.length);
    expect(await incompleteUploads(minio)).toEqual(before);
    expect(await client.findUploadId(bucket, 'x')).toBeUndefined();
  });

  it('reports parts that it cannot remove because the service stops during a put', async () => {
    const bucket = await minio.bucket();
    const store = storeIn(bucket);
    const stream = Readable.from(
      (async function* () {
        yield* pieces(10 * MB);
        await minio.stop();
        yield* pieces(10 * MB);
      })(),
    );
    try {
      const failure: unknown = await store.put('x', { stream }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(StoreUnavailable);
      expect(String(failure)).toMatch(/parts of a failed upload of x could not be removed/);
    } finally {
      await minio.start();
    }
    expect(await store.get('x')).toBeUndefined();
    expect(await keys(store.list(''))).toEqual([]);
    expect(await client.findUploadId(bucket, 'x')).toBeDefined();

    // The next put must not contain the remaining parts.
    await store.put('x', { stream: pieces(20 * MB) });
    expect((await store.stat('x'))?.size).toBe(20 * MB);
    expect(await client.findUploadId(bucket, 'x')).toBeDefined();
    await client.removeIncompleteUpload(bucket, 'x');
  });

  it('fails the body of an open object if the service stops during a read', async () => {
    const store = storeIn(await minio.bucket());
    await store.put('x', { stream: pieces(50 * MB) });
    const body = (await store.open('x'))?.body;
    if (body === undefined) throw new Error('not found');
    try {
      await expect(
        (async () => {
          let stopping: Promise<void> | undefined;
          for await (const _ of body) stopping ??= minio.stop();
        })(),
      ).rejects.toThrow(StoreUnavailable);
    } finally {
      await minio.stop();
      await minio.start();
    }
  });
});

describe('S3Store with a faulty service', () => {
  let server: Server | undefined;

  afterEach(async () => {
    server?.closeAllConnections();
    server?.close();
    if (server !== undefined) await once(server, 'close');
    server = undefined;
  });

  /** Returns a store for a service that responds with `answer`. */
  async function storeOn(
    answer: (request: IncomingMessage, response: ServerResponse) => void,
    timeoutMs = 5000,
    http = new HttpClient(),
  ): Promise<S3Store> {
    server = createServer(answer).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no address');
    return new S3Store({
      http,
      bucket: 'bucket',
      endpoint: `http://127.0.0.1:${address.port}`,
      accessKey: 'key',
      secretKey: 'secret',
      timeoutMs,
    });
  }

  const object = { 'content-length': String(4 * MB), 'last-modified': new Date().toUTCString() };

  it('rejects if the service sends nothing', async () => {
    const store = await storeOn(() => undefined, 200);
    for (const attempt of [
      () => store.get('x'),
      () => store.stat('x'),
      () => store.open('x'),
      () => keys(store.list('')),
      () => store.put('x', Buffer.from('x')),
      () => store.delete('x'),
      () => store.check(),
    ]) {
      await expect(attempt()).rejects.toThrow(/sent nothing for 0.2 s/);
      await expect(attempt()).rejects.toThrow(StoreUnavailable);
    }
  });

  it('does not end the process if an object breaks off before anyone reads it', async () => {
    const store = await storeOn((request, response) => {
      response.writeHead(200, object).write(Buffer.alloc(1000), () => request.socket.destroy());
    });
    const opened = await store.open('x');
    const body = opened?.body;
    await new Promise<void>((resolve) => (body ? void body.once('close', resolve) : resolve()));
    expect(body?.errored).toBeInstanceOf(StoreUnavailable);
  });

  it('rejects when the service stops sending in the middle of an object', async () => {
    const store = await storeOn((_, response) => void response.writeHead(200, object).write(Buffer.alloc(1000)), 200);
    await expect(store.get('x')).rejects.toThrow(StoreUnavailable);
    const opened = await store.open('x');
    await expect(buffer(opened?.body ?? Readable.from([]))).rejects.toThrow(/sent nothing for 0.2 s/);
  });

  it('waits for a slow reader', async () => {
    const store = await storeOn((_, response) => void response.writeHead(200, object).end(Buffer.alloc(4 * MB)), 1_000);
    let length = 0;
    for await (const chunk of (await store.open('x'))?.body ?? []) {
      // The test needs a pause that is longer than the timeout, which even a busy machine does not reach otherwise.
      if (length === 0) await delay(1_500);
      length += (chunk as Buffer).length;
    }
    expect(length).toBe(4 * MB);
  });

  it('rejects if the service sends an incomplete object', async () => {
    const store = await storeOn((_, response) => {
      response.writeHead(200, object);
      response.write(Buffer.alloc(1000), () => response.destroy());
    });
    const opened = await store.open('x');
    await expect(buffer(opened?.body ?? Readable.from([]))).rejects.toThrow(StoreUnavailable);
    await expect(store.get('x')).rejects.toThrow(StoreUnavailable);
  });

  it.each([500, 502, 503, 504, 429])(
    'rejects with StoreUnavailable after three attempts with status %d',
    async (status) => {
      let requests = 0;
      const store = await storeOn((request, response) => {
        requests += 1;
        request.resume();
        response.writeHead(status).end('<Error><Code>SlowDown</Code></Error>');
      });
      for (const attempt of [() => store.get('x'), () => store.stat('x'), () => store.put('x', Buffer.from('x'))]) {
        requests = 0;
        await expect(attempt()).rejects.toThrow(new RegExp(`bucket .*responded with status ${status}`));
        expect(requests).toBe(3);
      }
    },
  );

  it.each(['responds with 503', 'drops the connection'])('retries if the service %s once', async (trouble) => {
    const received: string[] = [];
    const store = await storeOn((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        received.push(Buffer.concat(chunks).toString());
        if (received.length > 1) response.end();
        else if (trouble === 'responds with 503') response.writeHead(503).end();
        else request.socket.resetAndDestroy();
      });
    });
    await store.put('x', Buffer.from('content'));
    expect(received).toEqual(['content', 'content']);
  });

  it('rejects with StoreUnavailable at once if no server listens', async () => {
    const store = await storeOn(() => undefined);
    server?.close();
    await expect(store.get('x')).rejects.toThrow(/cannot be reached; check S3_ENDPOINT/);
  });

  it('rejects with StoreUnavailable if the service is not an S3 service', async () => {
    const store = await storeOn((_, response) => void response.end('<html>welcome</html>'));
    await expect(store.open('x')).rejects.toThrow(StoreUnavailable);
    await expect(keys(store.list(''))).rejects.toThrow(StoreUnavailable);
  });

  it('advises to check S3_ENDPOINT if a web server refuses the request', async () => {
    const store = await storeOn(
      (_, response) => void response.writeHead(400).end('Client sent an HTTP request to an HTTPS server.'),
    );
    await expect(store.get('x')).rejects.toThrow(/not from an S3 service; check S3_ENDPOINT/);
  });

  it('advises to create a missing bucket if its credentials do not allow this', async () => {
    const store = await storeOn((request, response) => {
      request.resume();
      const code = request.url === '/bucket' ? 'AccessDenied' : 'NoSuchBucket';
      response
        .writeHead(code === 'AccessDenied' ? 403 : 404)
        .end(`<Error><Code>${code}</Code><Message>${code}.</Message></Error>`);
    });
    await expect(store.check()).rejects.toThrow(StoreUnavailable);
    await expect(store.check()).rejects.toThrow(
      /the bucket does not exist; create it, because these credentials may not \(AccessDenied.\)/,
    );
  });

  it('rejects an object without its size, with too many bytes, or with another checksum than when it was stored', async () => {
    const whole = 'module example.com/x\n\nrequire example.com/y v1.0.0\n';
    let headers: Record<string, string> = {};
    const store = await storeOn((request, response) => {
      if (request.method === 'PUT') {
        headers = Object.fromEntries(
          Object.entries(request.headersDistinct).flatMap(([name, values]) =>
            name.startsWith('x-amz-meta-') ? [[name, String(values?.[0])]] : [],
          ),
        );
        request.resume();
        response.end();
      } else if (request.url?.endsWith('/chunked')) {
        response.writeHead(200, { 'last-modified': object['last-modified'] }).end(whole);
      } else if (request.url?.endsWith('/large')) {
        response.writeHead(200, { ...object, 'content-length': String(100 * MB) }).write('x');
      } else {
        const body = request.url?.endsWith('/half') ? whole.slice(0, whole.length / 2) : whole;
        response.writeHead(200, { ...object, ...headers, 'content-length': String(body.length) }).end(body);
      }
    });
    await store.put('x', Buffer.from(whole));
    expect(String(await store.get('whole'))).toBe(whole);
    await expect(store.get('half')).rejects.toThrow(
      /^the store .* does not have the checksum with which it was stored/,
    );
    await expect(store.get('half')).rejects.toThrow(StoreUnavailable);
    await expect(store.get('chunked')).rejects.toThrow(/lacks the size or the time of the object/);
    await expect(store.get('large')).rejects.toThrow(/the object has 104857600 bytes, more than/);
  });

  it('rejects an object or a listing that arrives byte by byte', async () => {
    const store = await storeOn((_, response) => {
      response.writeHead(200, object);
      sendSlowly(response);
    }, 200);
    await expect(store.get('x')).rejects.toThrow(/did not arrive within 0.4 s|sent fewer than 262144 bytes/);
    await expect(keys(store.list(''))).rejects.toThrow(/did not end within 0.4 s/);
    const opened = await store.open('x');
    await expect(buffer(opened?.body ?? Readable.from([]))).rejects.toThrow(/sent fewer than 262144 bytes/);
  });

  it('rejects a response whose headers never end', async () => {
    const store = await storeOn((_, { socket }) => {
      socket?.write('HTTP/1.1 200 OK\r\nx: ');
      const timer = setInterval(() => socket?.write('x'), 20);
      socket?.once('close', () => clearInterval(timer));
    }, 200);
    for (const attempt of [() => store.get('x'), () => store.put('x', Buffer.from('x'))])
      await expect(attempt()).rejects.toThrow(/did not respond within 0.4 s/);
  });

  it.each([200, 403, 404])('does not read a listing or an error of 100 MB to its end (status %d)', async (status) => {
    let sent = 0;
    const store = await storeOn((_, response) => {
      response.writeHead(status);
      sendLarge(response, 100 * MB, (length) => (sent += length));
    });
    await expect(keys(store.list(''))).rejects.toThrow(StoreUnavailable);
    if (status !== 200) await expect(store.get('x')).rejects.toThrow(StoreUnavailable);
    expect(sent).toBeLessThan(80 * MB);
  });

  it('rejects an endless listing', async () => {
    const items = ['a/1', 'a/2'].map(
      (key) => `<Contents><Key>${key}</Key><Size>1</Size><LastModified>2024-01-01T00:00:00Z</LastModified></Contents>`,
    );
    const store = await storeOn((_, response) => {
      response.end(
        `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken>${items.join('')}</ListBucketResult>`,
      );
    });
    await expect(keys(store.list('a/'))).rejects.toThrow(/lists the key "a\/1" out of order/);
    await expect(keys(store.list('b/'))).rejects.toThrow(StoreUnavailable);
  });

  it('rejects a response with a content encoding, and requests none', async () => {
    const requested: unknown[] = [];
    const store = await storeOn((request, response) => {
      requested.push(request.headers['accept-encoding']);
      const body = gzipSync('x');
      response.writeHead(200, { ...object, 'content-length': body.length, 'content-encoding': 'gzip' }).end(body);
    });
    for (const attempt of [() => store.get('x'), () => store.open('x'), () => keys(store.list(''))])
      await expect(attempt()).rejects.toThrow(/the response has the content encoding gzip/);
    expect(requested).toEqual(['identity', 'identity', 'identity']);
  });

  it('reuses a connection', async () => {
    const sockets = new Set<unknown>();
    const http = new HttpClient();
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      sockets.add(request.socket);
      response.writeHead(200, { ...object, 'content-length': '1' }).end('x');
    };
    const store = await storeOn(answer, 5000, http);
    for (let index = 0; index < 5; index += 1) {
      expect((await store.get('x'))?.toString()).toBe('x');
      expect(await buffer((await store.open('x'))?.body ?? Readable.from([]))).toEqual(Buffer.from('x'));
    }
    expect(sockets.size).toBeLessThanOrEqual(2);
    http.close();
    await vi.waitFor(() =>
      expect([...sockets].every((socket) => (socket as { destroyed: boolean }).destroyed)).toBe(true),
    );
  });

  it.each(['localhost:9000', 'ftp://x', 'http://x/path', 'http://user:password@x', 'nonsense'])(
    'rejects the endpoint %s',
    (endpoint) => {
      expect(
        () =>
          new S3Store({ http: new HttpClient(), bucket: 'bucket', endpoint, accessKey: 'key', secretKey: 'secret' }),
      ).toThrow(TypeError);
    },
  );
});

/**
 * Returns MinIO's files of uploads that were neither completed nor aborted, in all buckets. MinIO's own listing finds
 * such uploads only by their exact key.
 */
async function incompleteUploads(minio: Minio): Promise<string[]> {
  const found = await readdir(join(minio.folder, '.minio.sys', 'multipart'), { recursive: true });
  return found.filter((path) => path.endsWith('xl.meta') || path.includes('part.'));
}
