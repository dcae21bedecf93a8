import type { Certificates } from './certificates.ts';
import { startRedisServer, type RedisServer } from './redis-server.ts';
import { until } from './until.ts';

/** A primary, a replica, and a Sentinel that monitors them. */
export interface RedisSentinel extends AsyncDisposable {
  /** A redis+sentinel:// or rediss+sentinel:// URL. */
  readonly url: string;
  readonly sentinel: RedisServer;
  /** The primary at the start, and its replica. */
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  close(): Promise<void>;
}

/** The name by which the Sentinel knows the primary. */
const PRIMARY_NAME = 'the-primary';

/** Starts a primary, a replica and a Sentinel. The Sentinel replaces a primary that does not reply for 500 ms. */
export async function startRedisSentinel({
  certificates,
}: { certificates?: Certificates } = {}): Promise<RedisSentinel> {
  const servers: RedisServer[] = [];
  const start = async (options: Parameters<typeof startRedisServer>[0]): Promise<RedisServer> => {
    const server = await startRedisServer({ certificates, ...options });
    servers.push(server);
    return server;
  };
  const close = async (): Promise<void> => void (await Promise.all(servers.map((server) => server.close())));
  try {
    const primary = await start({});
    const replica = await start({ config: [`replicaof 127.0.0.1 ${primary.port}`] });
    await untilReply(replica, ['INFO', 'replication'], 'master_link_status:up');
    const sentinel = await start({
      isSentinel: true,
      config: [
        `sentinel monitor ${PRIMARY_NAME} 127.0.0.1 ${primary.port} 1`,
        `sentinel down-after-milliseconds ${PRIMARY_NAME} 500`,
        `sentinel failover-timeout ${PRIMARY_NAME} 5000`,
      ],
    });
    // The Sentinel promotes only a replica about which it knows this.
    await untilReply(sentinel, ['SENTINEL', 'REPLICAS', PRIMARY_NAME], 'master-link-status,ok');
    return {
      url: `redis${certificates ? 's' : ''}+sentinel://127.0.0.1:${sentinel.port}/${PRIMARY_NAME}`,
      sentinel,
      primary,
      replica,
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Waits until the reply of a server to a command contains the text. */
async function untilReply(server: RedisServer, command: [string, ...string[]], text: string): Promise<void> {
  const redis = server.connect();
  try {
    await until(() => redis.call(...command), text);
  } finally {
    redis.disconnect();
  }
}
