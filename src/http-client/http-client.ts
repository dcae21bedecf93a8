import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { isIP } from 'node:net';
import { pipeline, type Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { SecureContext } from 'node:tls';
import { createGunzip } from 'node:zlib';
import {
  describeProxy,
  ForwardProxyFailed,
  NO_FORWARD_PROXIES,
  refusalOf,
  unreachable,
  type ForwardProxies,
  type ForwardProxy,
} from './forward-proxy.ts';
import { AddressGuard, type IsAllowedAddress, type Lookup } from './allowed-address.ts';
import { hostAndPort, hostOf, portOf } from './host.ts';
import { atMinimumRate, type MinimumRate } from './minimum-rate.ts';
import { TunnelAgent } from './tunnel-agent.ts';
import { explainCertificate } from './untrusted-certificate.ts';

/** A request for `fetch`. */
export interface OutgoingRequest {
  /** GET by default. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Aborts the request, even while the body of the response arrives. */
  readonly signal: AbortSignal;
  /** Restricts the addresses to which the request may be sent. By default, all addresses are allowed. */
  readonly isAllowedAddress?: IsAllowedAddress;
}

/** A response of `fetch`. */
export interface IncomingResponse extends Response {
  /** The IP address of the server; undefined behind a forward proxy. */
  readonly serverAddress: string | undefined;
}

/** How an HttpClient connects. */
export interface HttpClientOptions {
  /** By default, all connections are direct. */
  readonly forwardProxies?: ForwardProxies;
  /**
   * Returns the certificates that all connections trust, see `lazyTrust`. By default, those that Node trusts. Called at
   * the first connection with TLS.
   */
  readonly trust?: () => SecureContext;
  /** The slowest rate of the body of a response of `fetch`; 256 KiB in a minute by default. */
  readonly minimumRate?: MinimumRate;
  /** Resolves the names of hosts in requests with `isAllowedAddress`. By default, the operating system does. */
  readonly lookup?: Lookup;
}

/** The timeout of a connection on which no data arrives, in milliseconds. */
const IDLE_MS = 120_000;
/**
 * Unused connections are closed after this many milliseconds. Servers close them later, so no request uses a connection
 * that the server is closing.
 */
const AGENT_OPTIONS: http.AgentOptions = { keepAlive: true, timeout: 4_000 };
/** Even through a slow connection with many downloads at once, a body arrives faster than this. */
const MINIMUM_RATE: MinimumRate = { bytes: 256 * 1024, windowMs: 60_000 };
/** These statuses have no body, and `Response` refuses one (null body status in the Fetch standard). */
const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * All outgoing HTTP connections of a process: to GitLab, to upstreams, to S3 and to the service. They use the forward
 * proxies of the environment and trust the same certificates. Unused connections are kept for a short time.
 */
export class HttpClient {
  readonly #forwardProxies: ForwardProxies;
  readonly #trust: HttpClientOptions['trust'];
  readonly #connections = new http.Agent(AGENT_OPTIONS);
  #secureAgents: { readonly direct: https.Agent; readonly tunnels: https.Agent | undefined } | undefined;
  readonly #minimumRate: MinimumRate;
  readonly #lookup: Lookup | undefined;

  constructor({
    forwardProxies = NO_FORWARD_PROXIES,
    trust,
    minimumRate = MINIMUM_RATE,
    lookup,
  }: HttpClientOptions = {}) {
    this.#forwardProxies = forwardProxies;
    this.#trust = trust;
    this.#minimumRate = minimumRate;
    this.#lookup = lookup;
  }

  /**
   * Sends a request as the global `fetch` does, but with backpressure on the response body. The fetch of Node 20 has no
   * backpressure. If the reader is slower than the network, fetch reads a whole chunked body into memory, and copies
   * all of it for each chunk.
   *
   * Does not follow redirects. Rejects with AddressNotAllowed, before anything is sent, if the address of the server is
   * not allowed. A forward proxy resolves names itself: a name behind it is allowed unless this machine can resolve it
   * to an address that is not allowed. Rejects if there is no response. If the connection fails later, the reader of
   * the body gets the error. If the server sends the body too slowly, the reader gets a BodyTooSlow.
   */
  async fetch(url: URL, outgoing: OutgoingRequest): Promise<IncomingResponse> {
    const { method = 'GET', headers = {}, body, signal, isAllowedAddress } = outgoing;
    const host = hostOf(url);
    const hasProxy = this.#proxyOf(url) !== undefined;
    const guard = isAllowedAddress && new AddressGuard(isAllowedAddress, this.#lookup);
    if (hasProxy) await guard?.checkName(host);
    else guard?.checkAddress(host);
    const options: http.RequestOptions = {
      protocol: url.protocol,
      host,
      port: url.port,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { ...headers },
      signal,
      timeout: IDLE_MS,
      ...(guard && !hasProxy && { lookup: guard.lookup }),
    };
    try {
      const message = await new Promise<IncomingMessage>((resolve, reject) => {
        const request = this.request(options, resolve);
        if (!hasProxy) guard?.watch(request, host);
        request.on('timeout', () => request.destroy(new Error(`no data for ${IDLE_MS / 1000} s`)));
        request.on('error', reject).end(body);
      });
      const serverAddress = hasProxy ? undefined : message.socket.remoteAddress;
      return Object.assign(toResponse(message, this.#minimumRate), { serverAddress });
    } catch (error) {
      throw this.explain(error, url);
    }
  }

  /**
   * Sends a request as `request` of node:http does, for libraries that use Node's interface. `options` must contain
   * `protocol` and `host`. Its agent is replaced.
   */
  request(options: http.RequestOptions, onResponse: (response: IncomingMessage) => void): ClientRequest {
    const target = new URL(`${options.protocol}//${hostAndPort(options.host ?? '', options.port ?? '')}`);
    const proxy = this.#proxyOf(target);
    if (target.protocol === 'https:') {
      const { direct, tunnels } = this.#secure();
      return https.request({ ...options, agent: (proxy && tunnels) ?? direct }, onResponse);
    }
    if (proxy) return this.#requestFromProxy(proxy, target, options, onResponse);
    return http.request({ ...options, agent: this.#connections }, onResponse);
  }

  /**
   * Returns an error that says what an operator has to do, if the error of a request to `url` means that a certificate
   * is not trusted or that the forward proxy does not work. Returns any other error unchanged.
   */
  explain(error: unknown, url: URL): unknown {
    if (!(error instanceof Error) || error instanceof ForwardProxyFailed) return error;
    const proxy = this.#proxyOf(url);
    if (proxy === undefined || url.protocol === 'https:') return explainCertificate(error, url.host);
    const isConnecting = 'syscall' in error && (error.syscall === 'connect' || error.syscall === 'getaddrinfo');
    const cause = explainCertificate(error, describeProxy(proxy));
    return isConnecting || cause !== error ? unreachable(proxy, cause) : error;
  }

  /** Closes all connections. */
  close(): void {
    for (const agent of [this.#connections, this.#secureAgents?.direct, this.#secureAgents?.tunnels]) agent?.destroy();
  }

  /** The agents of connections with TLS. The certificates are read only if they are needed. */
  #secure(): { readonly direct: https.Agent; readonly tunnels: https.Agent | undefined } {
    if (this.#secureAgents) return this.#secureAgents;
    const options = { ...AGENT_OPTIONS, ...(this.#trust && { secureContext: this.#trust() }) };
    const proxy = this.#forwardProxies.https;
    this.#secureAgents = { direct: new https.Agent(options), tunnels: proxy && new TunnelAgent(proxy, options) };
    return this.#secureAgents;
  }

  #proxyOf(url: URL): ForwardProxy | undefined {
    const { http: plain, https: secure, isDirect } = this.#forwardProxies;
    const proxy = url.protocol === 'https:' ? secure : plain;
    return proxy === undefined || isDirect(url.hostname, portOf(url)) ? undefined : proxy;
  }

  /**
   * Sends a request to an http server through a forward proxy, which receives the whole URL (RFC 9112, section 3.2.2).
   */
  #requestFromProxy(
    proxy: ForwardProxy,
    target: URL,
    options: http.RequestOptions,
    onResponse: (response: IncomingMessage) => void,
  ): ClientRequest {
    const proxyOptions: https.RequestOptions = {
      ...options,
      protocol: proxy.secure ? 'https:' : 'http:',
      host: proxy.host,
      port: proxy.port,
      path: `${target.origin}${options.path}`,
      headers: {
        host: target.host,
        ...(options.headers as http.OutgoingHttpHeaders | undefined),
        ...(proxy.authorization !== undefined && { 'proxy-authorization': proxy.authorization }),
      },
      agent: proxy.secure ? this.#secure().direct : this.#connections,
      // Otherwise, Node verifies the certificate of the proxy for the name in the Host header.
      servername: isIP(proxy.host) ? '' : proxy.host,
    };
    const request = (proxy.secure ? https : http).request(proxyOptions, (response) => {
      const { statusCode, statusMessage = '' } = response;
      if (statusCode === 407) request.destroy(refusalOf(proxy, target.host, statusCode, statusMessage));
      else onResponse(response);
    });
    return request;
  }
}

function toResponse(message: IncomingMessage, minimumRate: MinimumRate): Response {
  const status = message.statusCode ?? 0;
  const headers = new Headers(
    Object.entries(message.headersDistinct).flatMap(([name, values = []]) =>
      values.map((value): [string, string] => [name, value]),
    ),
  );
  // Without a listener, Node forgets the error of a connection that fails before anyone reads the body.
  message.on('error', () => undefined);
  try {
    if (WITHOUT_BODY.has(status)) {
      // The connection can be used again only after the end of the message.
      message.resume();
      return new Response(null, { status, headers });
    }
    const body = decoded(message, headers);
    const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    const stream = atMinimumRate(chunks, minimumRate, () => void message.destroy());
    return new Response(stream as ReadableStream & globalThis.ReadableStream, { status, headers });
  } catch (error) {
    message.destroy();
    throw error;
  }
}

/** Returns the body without its content encoding, and removes the headers that describe the encoded body. */
function decoded(message: IncomingMessage, headers: Headers): Readable {
  const encoding = headers.get('content-encoding') ?? 'identity';
  if (/^(?:x-)?gzip$/i.test(encoding)) {
    headers.delete('content-encoding');
    headers.delete('content-length');
    // If one of the two streams fails, pipeline destroys the other one, and the reader gets the error.
    return pipeline(message, createGunzip(), () => undefined);
  }
  if (!/^identity$/i.test(encoding)) throw new Error(`the response has the unknown content encoding ${encoding}`);
  return message;
}
