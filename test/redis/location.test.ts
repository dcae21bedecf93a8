import { createSecureContext } from 'node:tls';
import { describe, expect, test } from 'vitest';
import { messageOf } from '../../src/errors.ts';
import { parseRedisUrl } from '../../src/redis/location.ts';

const NOBODY = { username: undefined, password: undefined };

describe('a Redis URL', () => {
  test.each([
    ['redis://redis', { server: { host: 'redis', port: 6379 }, database: 0, tls: undefined, ...NOBODY }],
    ['REDIS://redis:1/', { server: { host: 'redis', port: 1 }, database: 0 }],
    ['redis://[::1]:6380/3', { server: { host: '::1', port: 6380 }, database: 3 }],
    ['redis://:secret@10.0.0.1', { server: { host: '10.0.0.1', port: 6379 }, username: undefined, password: 'secret' }],
    ['redis://me:p%40s%2Fs:w+d@redis', { username: 'me', password: 'p@s/s:w+d' }],
    ['redis://me:a@b@redis', { username: 'me', password: 'a@b' }],
    ['redis://me:@redis', { username: 'me', password: '' }],
    ['rediss://redis', { kind: 'server', tls: {} }],
  ])('%s names a single server', (url, expected) => {
    expect(parseRedisUrl(url)).toMatchObject({ kind: 'server', keyPrefix: 'modpress', ...expected });
  });

  test.each([
    [
      'redis+sentinel://one,two:1/main',
      {
        sentinels: [
          { host: 'one', port: 26_379 },
          { host: 'two', port: 1 },
        ],
        primary: 'main',
        database: 0,
        tls: undefined,
        sentinelCredentials: NOBODY,
        ...NOBODY,
      },
    ],
    ['rediss+sentinel://[::1]/my.main-1/2', { sentinels: [{ host: '::1', port: 26_379 }], database: 2, tls: {} }],
    [
      'redis+sentinel://me:mine@one/main?sentinelUsername=it&sentinelPassword=its%26+own',
      { username: 'me', password: 'mine', sentinelCredentials: { username: 'it', password: 'its&+own' } },
    ],
    [
      'redis+sentinel://one/main?sentinelPassword=a=b',
      { sentinelCredentials: { username: undefined, password: 'a=b' } },
    ],
  ])('%s names a primary behind Sentinels', (url, expected) => {
    expect(parseRedisUrl(url)).toMatchObject({ kind: 'sentinel', keyPrefix: 'modpress', ...expected });
  });

  test.each([
    [
      'redis+cluster://one,two:1',
      {
        nodes: [
          { host: 'one', port: 6379 },
          { host: 'two', port: 1 },
        ],
        tls: undefined,
        ...NOBODY,
      },
    ],
    ['rediss+cluster://me:secret@one/0', { username: 'me', password: 'secret', tls: {} }],
  ])('%s names a cluster, whose keys have one hash tag', (url, expected) => {
    expect(parseRedisUrl(url)).toMatchObject({ kind: 'cluster', keyPrefix: '{modpress}', database: 0, ...expected });
  });

  test('trusts the given certificates', () => {
    const secureContext = createSecureContext();
    expect(parseRedisUrl('rediss+cluster://one', () => secureContext).tls).toEqual({ secureContext });
    expect(parseRedisUrl('redis+cluster://one', () => secureContext).tls).toBeUndefined();
  });

  test.each([
    ['http://:secret@redis', 'must begin with redis://'],
    ['redis:secret', 'must begin with redis://'],
    ['redis+sentinels://secret', 'must begin with redis://'],
    ['redis-sentinel://secret/main', 'must begin with redis://'],
    ['redis://:sec#ret@redis', 'must not contain #: write # in a password as %23'],
    ['redis://:sec%ret@redis', 'contains a % that is not part of a percent-encoded character'],
    ['redis+sentinel://one/main?sentinelPassword=sec%ret', 'contains a % that is not part of'],
    ['redis://secret@redis', 'contains a user without a password'],
    ['redis://', 'must contain host or host:port'],
    ['redis://:secret@', 'must contain host or host:port'],
    ['redis://:sec/ret@redis', 'must contain host or host:port'],
    ['redis://:sec?ret@redis', 'must not contain a query: write ? in a password as %3F'],
    ['redis://redis:0', 'must contain host or host:port'],
    ['redis://redis:65536', 'must contain host or host:port'],
    ['redis+cluster://one,', 'must contain host or host:port'],
    ['redis+cluster://one two', 'must contain host or host:port'],
    ['redis://one,two', 'contains several hosts: begin it with redis+sentinel:// or redis+cluster://'],
    ['redis://user:1/secret@redis', 'must end with the number of a database'],
    ['redis://redis/secret', 'must end with the number of a database'],
    ['redis://redis/0/secret', 'must end with the number of a database'],
    ['redis://redis?password=secret', 'must not contain a query'],
    ['redis+cluster://one/1', 'must not name a database: a cluster has only database 0'],
    ['redis+cluster://one?password=secret', 'must not contain a query'],
    ['redis+sentinel://one', 'must end with the name of the primary'],
    ['redis+sentinel://one/', 'must end with the name of the primary'],
    ['redis+sentinel://one/ma in', 'must end with the name of the primary'],
    ['redis+sentinel://user:1/secret@one/main', 'must end with the name of the primary'],
    ['redis+sentinel://one/main/0/secret', 'must end with the name of the primary'],
    ['redis+sentinel://one/main/secret', 'must end with the number of a database'],
    ['redis+sentinel://one/main?password=secret', 'may contain only sentinelUsername=… and sentinelPassword=…'],
    ['redis+sentinel://one/main?sentinelUsername=secret', 'contains sentinelUsername without sentinelPassword'],
  ])('%s is refused with the reason, which does not contain the secret', (url, sentence) => {
    const message = messageOf(errorOf(() => parseRedisUrl(url)));
    expect(message).toContain(sentence);
    expect(message).not.toMatch(/secret|sec%?ret|\bret\b/);
  });
});

function errorOf(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}
