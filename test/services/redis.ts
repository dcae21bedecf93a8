import { Redis } from 'ioredis';
import { answers, startRedisServer } from './redis-server.ts';

/** A Redis for tests. Only a Redis that this module has started has a `pid` and can be stopped and started. */
export interface RedisService extends AsyncDisposable {
  readonly url: string;
  readonly pid?: number;
  /** Ends the server. Its data (an append-only file) and its port remain for `start`. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  start(): Promise<void>;
  /** Ends the server, and removes its files. Does not touch a server that was running before. */
  close(): Promise<void>;
}

/**
 * Finds a Redis (`REDIS_URL`, otherwise 127.0.0.1:6379) or starts one. With `own` it always starts one, for tests that
 * stop Redis or delete its data. All other tests use only keys with their own prefix.
 */
export async function startRedis(options: { own?: boolean } = {}): Promise<RedisService> {
  if (options.own !== true) {
    const url = process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379';
    if (await answers((more) => new Redis(url, more))) return foundRedis(url);
    if (process.env['REDIS_URL'] !== undefined) throw new Error('the Redis of REDIS_URL does not respond');
  }
  const server = await startRedisServer();
  return {
    url: `redis://127.0.0.1:${server.port}`,
    get pid(): number {
      return server.pid;
    },
    stop: (signal) => server.stop(signal),
    start: () => server.start(),
    close: () => server.close(),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

function foundRedis(url: string): RedisService {
  return { url, stop: refuse, start: refuse, close: leaveAlone, [Symbol.asyncDispose]: leaveAlone };
}

async function refuse(): Promise<never> {
  throw new Error('this Redis was running before the test: use { own: true }');
}

async function leaveAlone(): Promise<void> {
  // This module has not started this Redis.
}
