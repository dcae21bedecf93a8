import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import { messageOf } from '../errors.ts';
import { connectorTo } from './connector.ts';
import type { RedisLocation } from './location.ts';
import { asWrongSettings, WrongRedisSettings } from './wrong-settings.ts';

/** How often a connection is checked with a PING, in milliseconds. */
const HEARTBEAT_MS = 5_000;
/**
 * Redis replies so if the connection leads to a server that no longer holds the keys, for example after a failover.
 * Only a new connection reaches the right server. A single server cannot be located again after `MOVED`. Redis 6 puts
 * other text and a hyphen before the reply if a script caused it.
 */
const WRONG_SERVER: Readonly<Record<RedisLocation['kind'], RegExp>> = {
  server: /(?:^|-)(?:READONLY|MASTERDOWN) /,
  sentinel: /(?:^|-)(?:READONLY|MASTERDOWN) /,
  cluster: /(?:^|-)(?:READONLY|MASTERDOWN|MOVED|CLUSTERDOWN) /,
};

/**
 * A connection to the server that holds the keys of modpress. It reconnects after every loss, and locates the server
 * again each time.
 *
 * By default, a command fails at once if the connection is lost, or after three seconds without a reply. This suits a
 * caller whose client waits; `options` can change it. An outage is logged once, not for each attempt. A connection with
 * a `commandTimeout` has a heartbeat. The caller must call `close`.
 */
export class RedisConnection extends Redis {
  readonly #location: RedisLocation;
  #problem: Error | undefined;

  constructor(location: RedisLocation, log: Logger, options: RedisOptions = {}) {
    const { kind, username, password, database, tls } = location;
    super({
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      // The connector opens the TLS connection. This option only tells ioredis to wait for its handshake.
      ...(tls && { tls: {} }),
      db: database,
      Connector: connectorTo(location),
      maxRetriesPerRequest: 0,
      commandTimeout: 3_000,
      connectTimeout: 3_000,
      keepAlive: 10_000,
      retryStrategy: (attempt) => Math.min(attempt * 100, 1_000),
      reconnectOnError: (error) => WRONG_SERVER[kind].test(error.message),
      ...options,
    });
    this.#location = location;
    this.#reportOutages(log);
    if (this.options.commandTimeout !== undefined) this.#startHeartbeat();
  }

  /** Returns the full name of a key of modpress. */
  key(name: string): string {
    return `${this.#location.keyPrefix}:${name}`;
  }

  /**
   * Returns why a command failed, given its error. The error of a command says only that there is no connection. A
   * WrongRedisSettings means that an operator must act.
   */
  reasonFor(error: unknown): Error {
    if (this.#problem !== undefined) return this.#problem;
    return asWrongSettings(error instanceof Error ? error : new Error(String(error)), this.#location.kind);
  }

  /**
   * Closes the connection permanently. During an outage, `disconnect()` alone would never settle the pending commands.
   */
  close(): void {
    this.options.retryStrategy = () => null;
    // Between two attempts, there is no connection to close. The next attempt is the last one, whether it fails or
    // succeeds.
    if (this.status === 'reconnecting') this.once('ready', () => this.disconnect());
    else this.disconnect();
  }

  /**
   * Replaces a connection that does not reply to a PING, because TCP alone needs a quarter of an hour to notice a lost
   * peer. Without `commandTimeout`, a PING would wait forever for its reply. Blocking and subscribed connections have
   * no `commandTimeout`, because a PING waits behind other commands there.
   */
  #startHeartbeat(): void {
    const timer = setInterval(() => {
      if (this.status !== 'ready') return;
      this.ping().catch((error: Error) => {
        if (this.status !== 'ready') return;
        this.#problem = new Error('Redis does not reply', { cause: error });
        this.disconnect(true);
      });
    }, HEARTBEAT_MS);
    timer.unref();
    this.once('end', () => clearInterval(timer));
  }

  #reportOutages(log: Logger): void {
    let isDown = false;
    let reported: string | undefined;
    this.on('error', (error) => {
      this.#problem = asWrongSettings(error, this.#location.kind);
    });
    this.on('reconnecting', () => {
      const problem = (this.#problem ??= new Error('the connection is closed'));
      const reason = messageOf(problem);
      if (problem instanceof WrongRedisSettings && reason !== reported) {
        log.error({ event: 'redis.misconfigured', reason }, 'Redis cannot be used until a setting is changed');
        reported = reason;
      } else if (!isDown) {
        log.warn({ event: 'redis.lost', reason }, 'the connection to Redis is lost; reconnecting');
      }
      isDown = true;
    });
    this.on('ready', () => {
      if (isDown) log.info({ event: 'redis.restored' }, 'the connection to Redis is restored');
      isDown = false;
      reported = undefined;
      this.#problem = undefined;
    });
  }
}
