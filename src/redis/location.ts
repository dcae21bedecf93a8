import type { SecureContext } from 'node:tls';

/** A user of Redis or of a Sentinel. Both values are undefined if the server requires no password. */
export interface Credentials {
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** The address of a server. `host` is a name or an IP address. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Where modpress keeps its data in Redis: on a single server, on the primary that Sentinels name, or on a node of a
 * cluster.
 */
export type RedisLocation = Credentials & {
  /** The number of the database. It is 0 on a cluster. */
  readonly database: number;
  /**
   * Undefined without TLS. `secureContext` contains the certificates that are trusted; by default, those that Node
   * trusts.
   */
  readonly tls: { readonly secureContext?: SecureContext } | undefined;
  /**
   * The beginning of every key, without the colon that follows. On a cluster, it is a hash tag: all keys are in one
   * slot, so that scripts and transactions can use several of them.
   */
  readonly keyPrefix: string;
} & (
    | { readonly kind: 'server'; readonly server: ServerAddress }
    | {
        readonly kind: 'sentinel';
        readonly sentinels: readonly ServerAddress[];
        /** The name of the primary in the configuration of the Sentinels. */
        readonly primary: string;
        readonly sentinelCredentials: Credentials;
      }
    | { readonly kind: 'cluster'; readonly nodes: readonly ServerAddress[] }
  );

/** The groups are `s`, the kind, the user with its password, the hosts, the path, and the query. */
const FORM = /^redis(s)?(?:\+(sentinel|cluster))?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i;
const HOST = /^(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i;

/**
 * Parses REDIS_URL:
 *
 * - `redis://[[user]:password@]host[:port][/database]`
 * - `redis+sentinel://[[user]:password@]host[:port],…/primary[/database][?sentinelUsername=…&sentinelPassword=…]`
 * - `redis+cluster://[[user]:password@]host[:port],…`
 *
 * With `rediss` instead of `redis`, all connections use TLS, and trust what `trust` returns. By default, they trust
 * what Node trusts. Throws an Error that says what is wrong. The error contains no part of the URL, because every part
 * may belong to a password.
 */
export function parseRedisUrl(url: string, trust?: () => SecureContext): RedisLocation {
  if (url.includes('#')) throw new Error('must not contain #: write # in a password as %23');
  const match = FORM.exec(url);
  if (match === null)
    throw new Error('must begin with redis://, redis+sentinel:// or redis+cluster://, or with rediss for TLS');
  const [, secure, form = 'server', user, hosts = '', path = '', query = ''] = match;
  const kind = form.toLowerCase();
  const common = {
    ...parseUser(user),
    tls: secure ? { ...(trust && { secureContext: trust() }) } : undefined,
    keyPrefix: 'modpress',
  };
  const parts = path.split('/').map(decode);
  if (kind === 'sentinel') {
    const [primary = '', database = '', ...rest] = parts;
    // Sentinel accepts only these characters (sentinel.conf).
    if (!/^[\w.-]+$/.test(primary) || rest.length > 0)
      throw new Error('must end with the name of the primary, such as redis+sentinel://host1,host2/mymaster');
    return {
      ...common,
      kind: 'sentinel',
      sentinels: parseHosts(hosts, 26_379),
      primary,
      sentinelCredentials: parseSentinelUser(query),
      database: parseDatabase(database),
    };
  }
  if (query !== '') throw new Error('must not contain a query: write ? in a password as %3F');
  const servers = parseHosts(hosts, 6379);
  const database = parseDatabase(parts.join('/'));
  if (kind === 'cluster') {
    if (database !== 0) throw new Error('must not name a database: a cluster has only database 0');
    return { ...common, kind: 'cluster', nodes: servers, database, keyPrefix: '{modpress}' };
  }
  const [server, ...others] = servers;
  if (server === undefined || others.length > 0)
    throw new Error('contains several hosts: begin it with redis+sentinel:// or redis+cluster://');
  return { ...common, kind: 'server', server, database };
}

function parseUser(user: string | undefined): Credentials {
  if (user === undefined) return { username: undefined, password: undefined };
  const colon = user.indexOf(':');
  if (colon === -1) throw new Error('contains a user without a password: write user:password@ or :password@');
  return { username: decode(user.slice(0, colon)) || undefined, password: decode(user.slice(colon + 1)) };
}

/** Does not use URLSearchParams, which would change a `+` of a password to a space. */
function parseSentinelUser(query: string): Credentials {
  const values: { sentinelUsername?: string; sentinelPassword?: string } = {};
  for (const part of query === '' ? [] : query.split('&')) {
    const [, name, value] = /^(sentinelUsername|sentinelPassword)=(.+)$/.exec(part) ?? [];
    if ((name !== 'sentinelUsername' && name !== 'sentinelPassword') || value === undefined)
      throw new Error('may contain only sentinelUsername=… and sentinelPassword=… after the ?');
    values[name] = decode(value);
  }
  if (values.sentinelUsername !== undefined && values.sentinelPassword === undefined)
    throw new Error('contains sentinelUsername without sentinelPassword');
  return { username: values.sentinelUsername, password: values.sentinelPassword };
}

function parseHosts(hosts: string, defaultPort: number): ServerAddress[] {
  return hosts.split(',').map((text) => {
    const [, address, name, port = defaultPort] = HOST.exec(text) ?? [];
    const host = address ?? name;
    if (host === undefined || Number(port) < 1 || Number(port) > 65_535)
      throw new Error(
        'must contain host or host:port after the //: write /, ? and @ in a password as %2F, %3F and %40',
      );
    return { host, port: Number(port) };
  });
}

function parseDatabase(text: string): number {
  if (!/^\d{0,9}$/.test(text)) throw new Error('must end with the number of a database, or with the host');
  return Number(text);
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // The error is replaced, because a caller must not show it together with the text.
    throw new Error('contains a % that is not part of a percent-encoded character: write % in a password as %25');
  }
}
