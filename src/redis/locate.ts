import { setMaxListeners } from 'node:events';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { messageOf } from '../errors.ts';
import { hostAndPort } from '../http-client/host.ts';
import type { Credentials, RedisLocation, ServerAddress } from './location.ts';
import { asWrongSettings, WrongRedisSettings } from './wrong-settings.ts';

/** How long a server may take to accept a connection, and then to reply, in milliseconds. */
const ASK_TIMEOUT_MS = 2_000;

/** The reply of `SENTINEL get-master-addr-by-name`: host and port, or null for an unknown name. */
const primaryReplySchema = z.tuple([z.string(), z.coerce.number()]).nullable();

/**
 * Resolves to the server that currently holds the keys of modpress: the server itself, the primary that a Sentinel
 * names, or the node of the cluster that holds the slot of the keys. All Sentinels or nodes are asked at once, and the
 * first good answer counts. Rejects with WrongRedisSettings or with the reasons of all servers, within a few seconds.
 */
export async function locate(location: RedisLocation): Promise<ServerAddress> {
  if (location.kind === 'server') return location.server;
  if (location.kind === 'cluster')
    return await firstAnswer(location, location.nodes, (node, ask) => ownerOf(location, node, ask));
  return await firstAnswer(location, location.sentinels, (sentinel, ask) => primaryOf(location, sentinel, ask));
}

/** Sends one command to a server, on a connection of its own. */
type Ask = (server: ServerAddress, credentials: Credentials, ...command: [string, ...string[]]) => Promise<unknown>;

/**
 * Resolves to the primary that a Sentinel names. The answer of a Sentinel may be out of date, so the primary must
 * confirm it (redis.io, "Guidelines for Redis clients with support for Redis Sentinel").
 */
async function primaryOf(
  location: RedisLocation & { readonly kind: 'sentinel' },
  sentinel: ServerAddress,
  ask: Ask,
): Promise<ServerAddress> {
  const { primary, sentinelCredentials } = location;
  const reply = await ask(sentinel, sentinelCredentials, 'SENTINEL', 'get-master-addr-by-name', primary);
  const address = primaryReplySchema.parse(reply);
  if (address === null)
    throw new WrongRedisSettings('the Sentinel does not know the primary: check its name at the end of REDIS_URL');
  const server = { host: address[0], port: address[1] };
  if (!/^role:master\r?$/m.test(String(await ask(server, location, 'INFO', 'replication'))))
    throw new Error(`the server ${hostAndPort(server.host, server.port)} is not a primary yet`);
  return server;
}

/**
 * Resolves to the node that holds the keys. Every node knows it: a node that does not hold a key replies `MOVED` with
 * the slot and the address of the node that does. The host is empty if it is that of the replying node.
 *
 * While the slot moves to another node, the old node replies `ASK` for a key that is missing. It still holds the slot.
 */
async function ownerOf(
  location: RedisLocation & { readonly kind: 'cluster' },
  node: ServerAddress,
  ask: Ask,
): Promise<ServerAddress> {
  try {
    await ask(node, location, 'EXISTS', `${location.keyPrefix}:check`);
    return node;
  } catch (error) {
    const message = messageOf(error);
    const [, host, port] = /^MOVED \d+ (.*):(\d+)$/.exec(message) ?? [];
    if (host !== undefined) return { host: host || node.host, port: Number(port) };
    if (message.startsWith('ASK ')) return node;
    throw error;
  }
}

async function firstAnswer(
  location: RedisLocation,
  servers: readonly ServerAddress[],
  answerOf: (server: ServerAddress, ask: Ask) => Promise<ServerAddress>,
): Promise<ServerAddress> {
  const answered = new AbortController();
  // Each server adds a listener, and Node would warn from the eleventh listener on.
  setMaxListeners(0, answered.signal);
  const ask = asker(location, answered.signal);
  try {
    return await Promise.any(servers.map((server) => answerOf(server, ask)));
  } catch (error) {
    throw error instanceof AggregateError ? inOne(error.errors, servers, location) : error;
  } finally {
    answered.abort();
  }
}

/** Returns one error for those of all servers. The errors have the order of the servers. */
function inOne(errors: readonly Error[], servers: readonly ServerAddress[], { kind }: RedisLocation): Error {
  const problems = errors.map((error) => asWrongSettings(error, kind));
  // An operator must know the wrong setting. The other servers may be unavailable only for a moment.
  const wrong = problems.find((problem) => problem instanceof WrongRedisSettings);
  const reasons = servers.map(
    (server, index) => `${hostAndPort(server.host, server.port)}: ${messageOf(problems[index])}`,
  );
  return wrong ?? new Error(`no server of REDIS_URL can be used: ${reasons.join('; ')}`);
}

function asker({ tls }: RedisLocation, signal: AbortSignal): Ask {
  return async ({ host, port }, { username, password }, ...command) => {
    const redis = new Redis({
      host,
      port,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      ...(tls && { tls }),
      lazyConnect: true,
      enableReadyCheck: false,
      disableClientInfo: true,
      maxRetriesPerRequest: 0,
      retryStrategy: () => null,
      connectTimeout: ASK_TIMEOUT_MS,
      commandTimeout: ASK_TIMEOUT_MS,
    });
    let reason: Error | undefined;
    redis.on('error', (error) => {
      reason = error;
    });
    const disconnect = (): void => redis.disconnect();
    signal.addEventListener('abort', disconnect);
    try {
      signal.throwIfAborted();
      await redis.connect();
      return await redis.call(...command);
    } catch (error) {
      // If the connection fails, the promises reject only with `Connection is closed.`
      throw reason ?? error;
    } finally {
      signal.removeEventListener('abort', disconnect);
      disconnect();
    }
  };
}
