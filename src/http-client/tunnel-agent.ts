import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import { describeProxy, refusalOf, unreachable, type ForwardProxy } from './forward-proxy.ts';
import { hostAndPort } from './host.ts';
import { explainCertificate } from './untrusted-certificate.ts';

/** How long a forward proxy may take to open a tunnel, in milliseconds. */
const TUNNEL_TIMEOUT_MS = 30_000;

/**
 * Connects to https servers through tunnels of a forward proxy (CONNECT, RFC 9110, section 9.3.6). If the proxy refuses
 * a tunnel, the request fails: a response of the proxy must never look like a response of the server.
 */
export class TunnelAgent extends https.Agent {
  readonly #proxy: ForwardProxy;
  readonly #opening = new Set<http.ClientRequest>();

  /** The `secureContext` of `options` is used for the servers and for the proxy. */
  constructor(proxy: ForwardProxy, options: https.AgentOptions) {
    super(options);
    this.#proxy = proxy;
  }

  /** Passes the socket, or a ForwardProxyFailed, to `callback`. */
  override createConnection(
    options: https.RequestOptions,
    callback: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    const target = hostAndPort(options.host ?? '', options.port ?? '');
    const request = this.#requestTunnel(target);
    const fail = (error: Error): void => {
      // Node does not use the socket if there is an error.
      callback(error, undefined as unknown as Duplex);
    };
    request.on('error', (error) =>
      fail(unreachable(this.#proxy, explainCertificate(error, describeProxy(this.#proxy)))),
    );
    // Node emits each response to CONNECT as `connect`, whatever its status.
    request.on('connect', ({ statusCode = 0, statusMessage = '' }, tunnel, head) => {
      if (statusCode < 200 || statusCode > 299) {
        tunnel.destroy();
        fail(refusalOf(this.#proxy, target, statusCode, statusMessage));
        return;
      }
      if (head.length > 0) tunnel.unshift(head);
      const socket = super.createConnection({ ...options, socket: tunnel } as https.RequestOptions);
      if (socket) callback(null, socket);
    });
    request.end();
  }

  /** Closes all connections, and ends the requests for tunnels. */
  override destroy(): void {
    super.destroy();
    for (const request of this.#opening) request.destroy(new Error('the connections are being closed'));
  }

  /** Returns the request for a tunnel to `target`, which is `host:port`. The request has a timeout. */
  #requestTunnel(target: string): http.ClientRequest {
    const { secure, host, port, authorization } = this.#proxy;
    const options: https.RequestOptions = {
      method: 'CONNECT',
      host,
      port,
      path: target,
      headers: { host: target, ...(authorization !== undefined && { 'proxy-authorization': authorization }) },
      agent: false,
      ...(secure && { secureContext: this.options.secureContext }),
    };
    const request = (secure ? https : http).request(options);
    const timer = setTimeout(
      () => request.destroy(new Error(`no response within ${TUNNEL_TIMEOUT_MS / 1000} s`)),
      TUNNEL_TIMEOUT_MS,
    );
    this.#opening.add(request);
    request.once('close', () => {
      clearTimeout(timer);
      this.#opening.delete(request);
    });
    return request;
  }
}
