import { Socket, connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector } from 'ioredis';
import { locate } from './locate.ts';
import type { RedisLocation, ServerAddress } from './location.ts';
import { USE_CLUSTER_URL, USE_PRIMARY, USE_SENTINEL_URL, WrongRedisSettings } from './wrong-settings.ts';

/** How long a server may take to close a connection, in milliseconds. */
const DISCONNECT_TIMEOUT_MS = 2_000;

/**
 * Returns the class with which ioredis opens the connections to a location. For each connection, the class locates the
 * server again. ioredis connects again after every loss, so that it finds the new primary after a failover, and the new
 * node after the slot of the keys has moved.
 */
export function connectorTo(location: RedisLocation): new () => AbstractConnector {
  return class extends LocatingConnector {
    constructor() {
      super(location);
    }
  };
}

class LocatingConnector extends AbstractConnector {
  readonly #location: RedisLocation;
  #emit: (type: string, error: Error) => void = () => {};

  constructor(location: RedisLocation) {
    super(DISCONNECT_TIMEOUT_MS);
    this.#location = location;
  }

  async connect(emit: (type: string, error: Error) => void): Promise<Socket> {
    this.#emit = emit;
    this.connecting = true;
    try {
      const server = await locate(this.#location);
      // `disconnect` was called meanwhile.
      if (!this.connecting) throw new Error('Connection is closed.');
      this.stream = this.#open(server);
      this.stream.once('error', (error) => {
        this.firstError = error;
      });
      return this.stream;
    } catch (error) {
      this.firstError = error instanceof Error ? error : new Error(String(error));
      // If this rejected, ioredis would never connect again. A closed stream makes ioredis emit `firstError`, and try
      // again later (ioredis 5.11 lib/Redis.ts, connect).
      return new Socket().destroy();
    }
  }

  /**
   * Called with the reply to INFO before a connection counts as ready. If it returns false, ioredis closes the
   * connection and tries again later. `info` is empty if the user may not use INFO.
   */
  override check(info: Readonly<Record<string, string>>): boolean {
    const problem = this.#problemOf(info);
    if (problem !== undefined) this.#emit('error', problem);
    return problem === undefined;
  }

  #problemOf(info: Readonly<Record<string, string>>): Error | undefined {
    const { kind } = this.#location;
    if (info['sentinel_masters'] !== undefined) return new WrongRedisSettings(USE_SENTINEL_URL);
    if (kind !== 'cluster' && info['cluster_enabled'] === '1') return new WrongRedisSettings(USE_CLUSTER_URL);
    if (info['role'] !== 'slave') return undefined;
    return kind === 'server' ? new WrongRedisSettings(USE_PRIMARY) : new Error('this Redis is not a primary yet');
  }

  #open(server: ServerAddress): Socket {
    const { tls } = this.#location;
    return tls ? connectTls({ ...server, ...tls }) : connect(server);
  }
}
