import { pino } from 'pino';
import { RedisConnection } from '../../src/redis/connection.ts';
import { parseRedisUrl, type RedisLocation } from '../../src/redis/location.ts';
import { startRedisCluster } from './redis-cluster.ts';
import { startRedisSentinel } from './redis-sentinel.ts';
import { startRedis } from './redis.ts';

/** A Redis of any kind. */
export interface AnyRedis {
  readonly url: string;
  close(): Promise<void>;
}

/** The kinds of Redis that modpress supports. A test that must pass on each of them starts each of them. */
export const REDIS_KINDS: readonly (readonly [name: string, start: () => Promise<AnyRedis>])[] = [
  ['a single server', startRedis],
  ['a server behind a Sentinel', startRedisSentinel],
  ['a cluster', startRedisCluster],
];

/** Returns the location of a URL, with the keys of one test only. */
export function locationIn(url: string, space: string): RedisLocation {
  const location = parseRedisUrl(url);
  return { ...location, keyPrefix: location.kind === 'cluster' ? `{${space}}` : space };
}

/** Opens a connection without a log. The test must close it. */
export function connectTo(location: RedisLocation): RedisConnection {
  return new RedisConnection(location, pino({ level: 'silent' }));
}

/** Removes all keys of a location, or those that begin with a prefix. */
export async function removeKeys(location: RedisLocation, prefix = location.keyPrefix): Promise<void> {
  const redis = connectTo(location);
  try {
    for await (const keys of redis.scanStream({ match: `${prefix}*`, count: 1_000 }) as AsyncIterable<string[]>) {
      if (keys.length > 0) await redis.del(keys);
    }
  } finally {
    redis.close();
  }
}
