import type { Redis } from 'ioredis';
import type { Certificates } from './certificates.ts';
import { freePort } from './free-port.ts';
import { startRedisServer, type RedisServer } from './redis-server.ts';
import { until } from './until.ts';

/** The number of hash slots of every cluster. */
const SLOTS = 16_384;

/** A Redis Cluster for tests. */
export interface RedisCluster extends AsyncDisposable {
  /** A redis+cluster:// or rediss+cluster:// URL of all nodes. */
  readonly url: string;
  /** The primaries, followed by their replicas. */
  readonly nodes: readonly RedisServer[];
  /** Resolves to the primary that currently holds the slot of a key. */
  ownerOf(key: string): Promise<RedisServer>;
  close(): Promise<void>;
}

interface ClusterOptions {
  /** Gives each of the three primaries a replica. */
  readonly replicas?: boolean;
  readonly certificates?: Certificates;
}

/** Starts a cluster of three primaries. */
export async function startRedisCluster(options: ClusterOptions = {}): Promise<RedisCluster> {
  const { replicas = false, certificates } = options;
  const nodes: RedisServer[] = [];
  const close = async (): Promise<void> => void (await Promise.all(nodes.map((node) => node.close())));
  try {
    for (let count = 0; count < (replicas ? 6 : 3); count++) nodes.push(await startNode(certificates));
    await withConnections(nodes, join);
  } catch (error) {
    await close();
    throw error;
  }
  const hosts = nodes.map(({ port }) => `127.0.0.1:${port}`).join();
  return {
    url: `redis${certificates ? 's' : ''}+cluster://${hosts}`,
    nodes,
    ownerOf: (key) => ownerOf(nodes, key),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function startNode(certificates: Certificates | undefined): Promise<RedisServer> {
  const busPort = await freePort();
  return await startRedisServer({
    certificates,
    config: ['cluster-enabled yes', `cluster-port ${busPort}`, 'cluster-node-timeout 1000'],
  });
}

/** Gives each of the first three nodes a third of the slots, and makes the other nodes their replicas. */
async function join(connections: readonly Redis[], nodes: readonly RedisServer[]): Promise<void> {
  const primaries = connections.slice(0, 3);
  const infos = await Promise.all(connections.map(async (redis) => String(await redis.cluster('NODES'))));
  const [first] = nodes;
  if (first === undefined) throw new Error('there is no node');
  // A line of CLUSTER NODES begins with the id and `host:port@busport`.
  const busPort = Number(/@(\d+)/.exec(infos[0] ?? '')?.[1]);
  for (const redis of connections.slice(1)) await redis.call('CLUSTER', 'MEET', '127.0.0.1', first.port, busPort);
  for (const [index, redis] of primaries.entries()) {
    const range = [Math.floor((SLOTS * index) / 3), Math.floor((SLOTS * (index + 1)) / 3) - 1];
    await redis.call('CLUSTER', 'ADDSLOTSRANGE', ...range.map(String));
  }
  for (const redis of connections)
    await until(
      () => redis.cluster('NODES'),
      (text) => text.split('\n').filter((line) => line.includes(' connected')).length === nodes.length,
    );
  for (const [index, redis] of connections.slice(3).entries())
    await redis.cluster('REPLICATE', (infos[index] ?? '').slice(0, 40));
  for (const redis of connections) await until(() => redis.cluster('INFO'), 'cluster_state:ok');
  for (const redis of connections.slice(3)) await until(() => redis.info('replication'), 'master_link_status:up');
}

async function ownerOf(nodes: readonly RedisServer[], key: string): Promise<RedisServer> {
  return await withConnections(nodes, async (connections) => {
    const owns = await Promise.all(
      connections.map(
        async (redis) =>
          await redis.exists(key).then(
            () => true,
            () => false,
          ),
      ),
    );
    const owner = nodes[owns.indexOf(true)];
    if (owner === undefined) throw new Error(`no node holds the slot of ${key}`);
    return owner;
  });
}

async function withConnections<T>(
  nodes: readonly RedisServer[],
  work: (connections: readonly Redis[], nodes: readonly RedisServer[]) => Promise<T>,
): Promise<T> {
  const connections = nodes.map((node) => node.connect({ maxRetriesPerRequest: 0 }));
  try {
    return await work(connections, nodes);
  } finally {
    for (const connection of connections) connection.disconnect();
  }
}
