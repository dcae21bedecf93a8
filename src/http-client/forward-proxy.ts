import { hostAndPort, hostOf, portOf } from './host.ts';
import type { MatchesHost } from './host-list.ts';
import { parseNoProxy } from './no-proxy.ts';

/** An HTTP proxy through which this machine reaches other machines, such as Squid. */
export interface ForwardProxy {
  /** Whether the connection to the proxy itself uses TLS. */
  readonly secure: boolean;
  /** Without brackets around an IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** The `Proxy-Authorization` header. */
  readonly authorization: string | undefined;
}

/** The forward proxies of the environment. */
export interface ForwardProxies {
  /** For http URLs: HTTP_PROXY. */
  readonly http: ForwardProxy | undefined;
  /** For https URLs: HTTPS_PROXY. */
  readonly https: ForwardProxy | undefined;
  /** NO_PROXY. */
  readonly isDirect: MatchesHost;
}

/** Without forward proxies, all connections are direct. */
export const NO_FORWARD_PROXIES: ForwardProxies = { http: undefined, https: undefined, isDirect: parseNoProxy('*') };

/** A forward proxy cannot be reached, or refuses a connection. The message contains no credentials. */
export class ForwardProxyFailed extends Error {
  override readonly name = 'ForwardProxyFailed';
}

/** Returns the error for a connection to `target` that the proxy refuses with this status. */
export function refusalOf(proxy: ForwardProxy, target: string, status: number, reason: string): ForwardProxyFailed {
  const advice =
    status === 407 ? ': set the user and the password in HTTP_PROXY and HTTPS_PROXY, as http://user:password@host' : '';
  return new ForwardProxyFailed(
    `the forward proxy ${describeProxy(proxy)} refuses the connection to ${target} (${`${status} ${reason}`.trim()})${advice}`,
  );
}

/** Returns the error for a proxy that does not answer. */
export function unreachable(proxy: ForwardProxy, cause: Error): ForwardProxyFailed {
  return new ForwardProxyFailed(`the forward proxy ${describeProxy(proxy)} cannot be used`, { cause });
}

/** Returns the name and the port of the proxy, for messages. */
export function describeProxy({ host, port }: ForwardProxy): string {
  return hostAndPort(host, port);
}

/**
 * Parses HTTP_PROXY or HTTPS_PROXY: a URL, or `host:port`, which means http, as for the go command. Throws an Error
 * that does not contain the value, because the value may contain a password.
 */
export function parseForwardProxy(value: string): ForwardProxy {
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && url.protocol.startsWith('socks'))
    throw new Error('is a SOCKS proxy, which modpress does not support: use an http:// or https:// proxy');
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '')
    throw new Error('must be the URL of a forward proxy, such as http://proxy.corp.example:3128');
  const secure = url.protocol === 'https:';
  return {
    secure,
    host: hostOf(url),
    port: portOf(url),
    authorization: url.username === '' && url.password === '' ? undefined : basicAuthorization(url),
  };
}

function basicAuthorization({ username, password }: URL): string {
  try {
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return `Basic ${Buffer.from(credentials).toString('base64')}`;
  } catch {
    throw new Error('has a user or password with an invalid percent-encoding: write % as %25');
  }
}
