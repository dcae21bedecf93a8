import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { ClientOptions } from 'minio';
import { TransientFailure } from './s3-errors.ts';

/**
 * Idle connections are closed after this many milliseconds. Servers close them later, so no request uses a connection
 * that the server is closing.
 */
const IDLE_MS = 4_000;

/**
 * The HTTP connections of the S3 client. Connections are reused, and requests have a timeout. Without a timeout, the
 * client would wait forever for a service that accepts connections but sends nothing.
 */
export class S3Connection {
  /** The scheme, host and port, for messages. */
  readonly origin: string;
  readonly clientOptions: Pick<ClientOptions, 'endPoint' | 'port' | 'useSSL' | 'transport' | 'transportAgent'>;
  readonly #agent: http.Agent;

  /**
   * A request fails if the service sends nothing for `timeoutMs` milliseconds. Throws TypeError for an invalid
   * endpoint.
   */
  constructor(endpoint: string, timeoutMs: number) {
    const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
    if (
      url === undefined ||
      !/^https?:$/.test(url.protocol) ||
      url.pathname !== '/' ||
      url.search !== '' ||
      url.username !== ''
    ) {
      throw new TypeError('the S3 endpoint must be an http or https URL with only a host and a port');
    }
    const secure = url.protocol === 'https:';
    const agentOptions = { keepAlive: true, timeout: IDLE_MS };
    this.origin = url.origin;
    this.#agent = secure ? new https.Agent(agentOptions) : new http.Agent(agentOptions);
    this.clientOptions = {
      endPoint: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port),
      useSSL: secure,
      transport: { request: withTimeoutAndStatus(secure ? https.request : http.request, timeoutMs) },
      transportAgent: this.#agent,
    };
  }

  /** Closes all connections. */
  close(): void {
    this.#agent.destroy();
  }
}

/**
 * Wraps `request` so that it fails in two more cases. The request fails if the service sends nothing for `timeoutMs`
 * milliseconds, even in the middle of a response. It also fails if the status means that the service cannot respond
 * now. A client that reads the received bytes slowly causes no timeout.
 */
function withTimeoutAndStatus(request: typeof http.request, timeoutMs: number): typeof http.request {
  const patched = (options: http.RequestOptions, onResponse: (response: IncomingMessage) => void): ClientRequest => {
    const sent = request({ ...options, timeout: timeoutMs });
    let received: IncomingMessage | undefined;
    sent.on('response', (response) => {
      received = response;
      const status = response.statusCode ?? 0;
      if (status < 500 && status !== 429 && status !== 408) onResponse(response);
      else
        sent.destroy(
          new TransientFailure(`the service responded with status ${status} ${response.statusMessage ?? ''}`.trim()),
        );
    });
    sent.on('timeout', () => {
      if (received !== undefined && received.readableLength > 0) sent.socket?.setTimeout(timeoutMs);
      else (received ?? sent).destroy(new Error(`the service sent nothing for ${timeoutMs / 1000} s`));
    });
    return sent;
  };
  // Node's `request` has several signatures. The client uses only this one.
  return patched as typeof http.request;
}
