import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import type { ClientOptions } from 'minio';
import type { HttpClient } from '../http-client/http-client.ts';
import { TransientFailure } from './s3-errors.ts';

/**
 * The connection of the S3 client to its service. Requests have a timeout. Without a timeout, the client would wait
 * forever for a service that accepts connections but sends nothing.
 */
export class S3Connection {
  /** The scheme, host and port, for messages. */
  readonly origin: string;
  readonly clientOptions: Pick<ClientOptions, 'endPoint' | 'port' | 'useSSL' | 'transport'>;
  readonly #http: HttpClient;

  /**
   * A request fails if the service sends nothing for `timeoutMs` milliseconds. Throws TypeError for an invalid
   * endpoint.
   */
  constructor(http: HttpClient, endpoint: string, timeoutMs: number) {
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
    this.#http = http;
    this.origin = url.origin;
    this.clientOptions = {
      endPoint: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port),
      useSSL: url.protocol === 'https:',
      // The client uses only this function of node:http, and only this signature of it.
      transport: { request: withTimeoutAndStatus(http, timeoutMs) } as unknown as NonNullable<
        ClientOptions['transport']
      >,
    };
  }

  /** Returns an error that says what to set for a certificate or a forward proxy; any other error unchanged. */
  explain(error: unknown): unknown {
    return this.#http.explain(error, new URL(this.origin));
  }
}

/**
 * Returns a function that sends a request. The request fails in two more cases: if the service sends nothing for
 * `timeoutMs` milliseconds, even in the middle of a response, and if the status means that the service cannot respond
 * now. A client that reads the received bytes slowly causes no timeout.
 */
function withTimeoutAndStatus(http: HttpClient, timeoutMs: number): HttpClient['request'] {
  return (options: RequestOptions, onResponse: (response: IncomingMessage) => void): ClientRequest => {
    let received: IncomingMessage | undefined;
    const sent = http.request({ ...options, timeout: timeoutMs }, (response) => {
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
}
