import { addressKind } from '../http-client/address-kind.ts';
import { AddressNotAllowed, type IsAllowedAddress } from '../http-client/allowed-address.ts';
import { portOf } from '../http-client/host.ts';
import type { MatchesHost } from '../http-client/host-list.ts';
import type { HttpClient, IncomingResponse, OutgoingRequest } from '../http-client/http-client.ts';
import { UpstreamFailed } from './module-source.ts';

/** How to send a request and to follow its redirects. */
export interface RedirectOptions {
  readonly http: HttpClient;
  /**
   * The `Authorization` header. It is sent only to the origin of the requested URL, never to another origin after a
   * redirect.
   */
  readonly authorization: string | undefined;
  /** The `Via` header. */
  readonly via: string;
  /** The hosts that redirects may name although their addresses do not belong to the internet. */
  readonly privateHosts: MatchesHost;
  readonly signal: AbortSignal;
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const MAX_REDIRECTS = 10;

/**
 * Sends a GET request. Follows at most ten redirects, but none from https to http, as the go command does. Resolves to
 * the first response that is no redirect, whatever its status.
 *
 * An upstream must not lead modpress to servers that only modpress can reach, such as the metadata service of a cloud.
 * Therefore a redirect to another origin is followed only to an address of the internet, to a host in `privateHosts`,
 * or from one loopback, link-local or private address to another one of the same kind.
 *
 * Rejects with UpstreamFailed if a redirect is not allowed, and with the error of HttpClient if no response arrives.
 */
export async function follow(url: string, options: RedirectOptions): Promise<Response> {
  const { http, signal, privateHosts } = options;
  const { origin, host } = new URL(url);
  let target = new URL(url);
  let ownKind: ReturnType<typeof addressKind> | undefined;
  for (let redirects = 0; ; redirects++) {
    const isOwn = target.origin === origin;
    const request: OutgoingRequest = {
      signal,
      headers: headersFor(options.via, isOwn ? options.authorization : undefined),
      ...(!isOwn && { isAllowedAddress: allowing(target, ownKind, privateHosts) }),
    };
    const response = await getAgainIfReset(http, target, request).catch((error: unknown) => {
      throw error instanceof AddressNotAllowed ? notAllowed(host, target, error) : error;
    });
    const location = REDIRECTS.has(response.status) ? response.headers.get('location') : null;
    if (location === null) return response;
    await response.body?.cancel();
    if (redirects === MAX_REDIRECTS) throw new UpstreamFailed(`${host} redirected more than ${MAX_REDIRECTS} times`);
    // After a server of another kind, no redirect leads back: such a server may be less trusted than the upstream.
    const kind = kindOf(response);
    ownKind = redirects === 0 || kind === ownKind ? kind : 'public';
    target = redirected(target, location, host);
  }
}

/** The kind of the address that sent the response. Behind a forward proxy it is unknown, and counts as public. */
function kindOf({ serverAddress }: IncomingResponse): ReturnType<typeof addressKind> {
  return serverAddress === undefined ? 'public' : addressKind(serverAddress);
}

function allowing(
  target: URL,
  ownKind: ReturnType<typeof addressKind> | undefined,
  privateHosts: MatchesHost,
): IsAllowedAddress {
  const port = portOf(target);
  const isListed = privateHosts(target.hostname, port);
  return (address) => {
    const kind = addressKind(address);
    return isListed || kind === 'public' || kind === ownKind || privateHosts(address, port);
  };
}

function notAllowed(host: string, target: URL, cause: AddressNotAllowed): UpstreamFailed {
  return new UpstreamFailed(
    `${host} redirected to ${target.host}, whose address does not belong to the internet\nIf this is intended, the operator has to add the host to UPSTREAM_PRIVATE_HOSTS.`,
    { cause },
  );
}

/**
 * Sends the request, and repeats it once if the connection is reset. A server may close an idle connection while a
 * request is being sent on it. Such a reset does not mean that the server is down.
 */
async function getAgainIfReset(http: HttpClient, target: URL, request: OutgoingRequest): Promise<IncomingResponse> {
  try {
    return await http.fetch(target, request);
  } catch (error) {
    if (codeOf(error) !== 'ECONNRESET') throw error;
    return await http.fetch(target, request);
  }
}

function headersFor(via: string, authorization: string | undefined): Record<string, string> {
  // Without a content encoding, Content-Length proves that the body is complete.
  const headers = { 'user-agent': 'modpress', 'accept-encoding': 'identity', via };
  return authorization === undefined ? headers : { ...headers, authorization };
}

function redirected(from: URL, location: string, host: string): URL {
  if (!URL.canParse(location, from.href)) throw new UpstreamFailed(`${host} redirected to an invalid URL`);
  const target = new URL(location, from.href);
  const safe = target.protocol === 'https:' || (target.protocol === 'http:' && from.protocol === 'http:');
  if (!safe)
    throw new UpstreamFailed(
      `${host} redirected from ${from.protocol}// to ${target.protocol}//, which is not allowed`,
    );
  return target;
}

/** Returns the system's error code, such as ECONNRESET, from the error or one of its causes. */
export function codeOf(error: unknown): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && typeof cause.code === 'string') return cause.code;
  }
  return undefined;
}
