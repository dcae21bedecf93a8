import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from 'pino';

/** How often a connection is checked with a PING, in milliseconds. */
const HEARTBEAT_MS = 5_000;

/**
 * Connects to Redis (`redis://` or, with TLS, `rediss://`), and reconnects after every loss of the connection.
 *
 * By default, a command fails at once if the connection is lost, or after three seconds without a reply. This suits a
 * caller whose client waits; `options` can change it. An outage is logged once, not for each attempt. A connection with
 * a `commandTimeout` has a heartbeat. The caller must close the connection with `endRedis`.
 */
export function connectRedis(url: string, log: Logger, options: RedisOptions = {}): Redis {
  const redis = new Redis(url, {
    maxRetriesPerRequest: 0,
    commandTimeout: 3_000,
    connectTimeout: 3_000,
    keepAlive: 10_000,
    retryStrategy: (attempt) => Math.min(attempt * 100, 1_000),
    // After a failover, the old primary replies READONLY. Only a new connection reaches the new primary.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    ...options,
  });
  reportOutages(redis, log);
  if (redis.options.commandTimeout !== undefined) startHeartbeat(redis);
  return redis;
}

/**
 * Replaces a connection that does not reply to a PING, because TCP alone needs a quarter of an hour to notice a lost
 * peer. Without `commandTimeout`, a PING would wait forever for its reply. Blocking and subscribed connections have no
 * `commandTimeout`, because a PING waits behind other commands there.
 */
function startHeartbeat(redis: Redis): void {
  const timer = setInterval(() => {
    if (redis.status !== 'ready') return;
    redis.ping().catch(() => {
      if (redis.status === 'ready') redis.disconnect(true);
    });
  }, HEARTBEAT_MS);
  timer.unref();
  redis.once('end', () => clearInterval(timer));
}

/** Closes a connection permanently. During an outage, `disconnect()` alone would never settle the pending commands. */
export function endRedis(redis: Redis): void {
  redis.options.retryStrategy = () => null;
  // Between two attempts, there is no connection to close. The next attempt is the last one, whether it fails or
  // succeeds.
  if (redis.status === 'reconnecting') redis.once('ready', () => redis.disconnect());
  else redis.disconnect();
}

function reportOutages(redis: Redis, log: Logger): void {
  let lastError: Error | undefined;
  let isDown = false;
  redis.on('error', (error) => {
    lastError = error;
  });
  redis.on('reconnecting', () => {
    if (!isDown) log.warn({ event: 'redis.lost', err: lastError }, 'the connection to Redis is lost; reconnecting');
    isDown = true;
  });
  redis.on('ready', () => {
    if (isDown) log.info({ event: 'redis.restored' }, 'the connection to Redis is restored');
    isDown = false;
    lastError = undefined;
  });
}
