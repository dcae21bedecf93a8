import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePort } from './free-port.ts';

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

const howToGetIt =
  'these tests need Redis: set REDIS_URL, or install redis-server (Debian and Ubuntu: apt-get install redis-server)';

/**
 * Finds a Redis (`REDIS_URL`, otherwise 127.0.0.1:6379) or starts one. With `own` it always starts one, for tests that
 * stop Redis or delete its data. All other tests use only keys with their own prefix.
 */
export async function startRedis(options: { own?: boolean } = {}): Promise<RedisService> {
  if (options.own !== true) {
    const url = process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379';
    if (await answers(url)) return foundRedis(url);
    if (process.env['REDIS_URL'] !== undefined) throw new Error('the Redis of REDIS_URL does not respond');
  }
  return ownRedis();
}

/** Removes all keys that begin with the prefix. */
export async function removeKeys(url: string, prefix: string): Promise<void> {
  const redis = new Redis(url);
  try {
    for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1_000 }) as AsyncIterable<string[]>) {
      if (keys.length > 0) await redis.del(keys);
    }
  } finally {
    redis.disconnect();
  }
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

async function ownRedis(): Promise<RedisService> {
  const directory = await mkdtemp(path.join(tmpdir(), 'modpress-redis-'));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let server: ChildProcess | undefined;
  const atExit = (): void => void server?.kill('SIGKILL');

  const start = async (): Promise<void> => {
    const flags = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--dir',
      directory,
      '--save',
      '',
      '--appendonly',
      'yes',
    ];
    const child = spawn('redis-server', flags, { stdio: 'ignore' });
    server = child;
    let failure: Error | undefined;
    child.once('error', (cause) => {
      failure = new Error(howToGetIt, { cause });
    });
    child.once('exit', (code) => {
      failure ??= new Error(`redis-server ended with status ${code}`);
    });
    while (!(await answers(url))) {
      if (failure !== undefined) throw failure;
      await sleep(20);
    }
  };
  const stop = async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> => {
    const child = server;
    server = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  };
  const close = async (): Promise<void> => {
    process.off('exit', atExit);
    await stop('SIGKILL');
    await rm(directory, { recursive: true, force: true });
  };

  process.once('exit', atExit);
  try {
    await start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    url,
    get pid(): number {
      if (server?.pid === undefined) throw new Error('this Redis is stopped');
      return server.pid;
    },
    stop,
    start,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function answers(url: string): Promise<boolean> {
  const redis = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
    retryStrategy: () => null,
  });
  redis.on('error', () => {
    // The rejection below reports the error.
  });
  try {
    await redis.connect();
    return (await redis.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}
