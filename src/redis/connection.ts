import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from 'pino';

/** How often a connection is asked whether it lives, in milliseconds. */
const HEARTBEAT_MS = 5_000;

/**
 * Connects to Redis (`redis://` or, with TLS, `rediss://`) and keeps connecting for as long as it takes.
 *
 * Unless `options` say otherwise, a command fails at once when the connection is lost, and after three seconds
 * without an answer: right for whoever has somebody waiting. Outages are logged once, not for each attempt.
 * End it with `endRedis`.
 */
export function connectRedis(url: string, log: Logger, options: RedisOptions = {}): Redis {
  const redis = new Redis(url, {
    maxRetriesPerRequest: 0,
    commandTimeout: 3_000,
    connectTimeout: 3_000,
    keepAlive: 10_000,
    retryStrategy: (attempt) => Math.min(attempt * 100, 1_000),
    // After a failover the old primary answers READONLY: only a new connection finds the new one.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    ...options,
  });
  reportOutages(redis, log);
  return redis;
}

/**
 * Ends a connection that leaves a PING unanswered, so that a new one is made: TCP alone takes a quarter of an hour
 * to notice a peer that vanished. Needs `commandTimeout`. Not for blocking or subscribed connections, where a
 * PING has to wait its turn.
 */
export function watchHeartbeat(redis: Redis): void {
  const timer = setInterval(() => {
    if (redis.status !== 'ready') return;
    redis.ping().catch(() => {
      if (redis.status === 'ready') redis.disconnect(true);
    });
  }, HEARTBEAT_MS);
  timer.unref();
  redis.once('end', () => clearInterval(timer));
}

/** Ends a connection for good. `disconnect()` alone leaves what waits for it hanging, if there is an outage. */
export function endRedis(redis: Redis): void {
  redis.options.retryStrategy = () => null;
  // Between two attempts there is nothing to disconnect: the next one ends it, whether it fails or succeeds.
  if (redis.status === 'reconnecting') redis.once('ready', () => redis.disconnect());
  else redis.disconnect();
}

function reportOutages(redis: Redis, log: Logger): void {
  let reason: Error | undefined;
  let down = false;
  redis.on('error', (error) => {
    reason = error;
  });
  redis.on('reconnecting', () => {
    if (!down) log.warn({ err: reason }, 'the connection to Redis is lost; reconnecting');
    down = true;
  });
  redis.on('ready', () => {
    if (down) log.info('Redis answers again');
    down = false;
    reason = undefined;
  });
}
