import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders, RequestOptions } from 'node:http';
import type { ClientOptions } from 'minio';
import { hostOf } from '../http-client/host.ts';
import type { HttpClient } from '../http-client/http-client.ts';
import { TransientFailure } from './s3-errors.ts';
import { boundedResponse, requireMinimumRate } from './s3-response.ts';

/**
 * The connection of the S3 client to its service. Requests have a timeout. Without a timeout, the client would wait
 * forever for a service that accepts connections but sends nothing.
 */
export class S3Connection {
  /** The scheme, host and port, for messages. */
  readonly origin: string;
  /** How long a response that is read into memory may take from its headers to its end, in milliseconds. */
  readonly wholeResponseMs: number;
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
    this.wholeResponseMs = 2 * timeoutMs;
    this.origin = url.origin;
    this.clientOptions = {
      endPoint: hostOf(url),
      port: Number(url.port),
      useSSL: url.protocol === 'https:',
      // The client uses only this function of node:http, and only this signature of it.
      transport: { request: withChecks(http, timeoutMs, this.wholeResponseMs) } as unknown as NonNullable<
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
 * Returns a function that sends a request. The request fails in more cases than one of node:http:
 *
 * - The service sends nothing for `timeoutMs` milliseconds, even in the middle of a response. A client that reads the
 *   received bytes slowly causes no timeout.
 * - The status means that the service cannot respond now.
 * - The response has a content encoding, although the request does not allow one. Its bytes are then not those of the
 *   object.
 * - The headers of the response do not arrive in time, or an object arrives too slowly.
 * - A response that is not an object, but a listing or an error, is too large or too slow.
 */
function withChecks(http: HttpClient, timeoutMs: number, wholeResponseMs: number): HttpClient['request'] {
  return (options: RequestOptions, onResponse: (response: IncomingMessage) => void): ClientRequest => {
    let received: IncomingMessage | undefined;
    const headers = { ...(options.headers as OutgoingHttpHeaders), 'accept-encoding': 'identity' };
    const sent = http.request({ ...options, headers, timeout: timeoutMs }, (response) => {
      received = response;
      const failure = failureOf(response);
      clearTimeout(timer);
      if (failure) sent.destroy(failure);
      else if (isObject(options, response)) {
        requireMinimumRate(response, wholeResponseMs);
        onResponse(response);
      } else onResponse(boundedResponse(response, wholeResponseMs));
    });
    // The timeout above begins again with each byte of the headers, and with each interim response.
    let timer: NodeJS.Timeout | undefined;
    sent.once('finish', () => {
      timer = setTimeout(
        () => sent.destroy(new Error(`the service did not respond within ${wholeResponseMs / 1000} s`)),
        wholeResponseMs,
      );
    });
    sent.once('close', () => clearTimeout(timer));
    sent.on('timeout', () => {
      if (received !== undefined && received.readableLength > 0) sent.socket?.setTimeout(timeoutMs);
      else (received ?? sent).destroy(new Error(`the service sent nothing for ${timeoutMs / 1000} s`));
    });
    return sent;
  };
}

function failureOf({ statusCode: status = 0, statusMessage = '', headers }: IncomingMessage): Error | undefined {
  if (status >= 500 || status === 429 || status === 408)
    return new TransientFailure(`the service responded with status ${status} ${statusMessage}`.trim());
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() === 'identity') return undefined;
  return new Error(`the response has the content encoding ${encoding}, which modpress did not request`);
}

/** Whether the response consists of an object, or of nothing. Only requests for listings have a query. */
function isObject({ method, path }: RequestOptions, { statusCode = 0 }: IncomingMessage): boolean {
  return method === 'HEAD' || (method === 'GET' && statusCode < 300 && path?.includes('?') !== true);
}
