import http, { type ClientRequest, type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { ClientOptions } from 'minio';

/** Idle connections are given up before a server would close them, so that a request does not meet a closing one. */
const IDLE_MS = 4_000;

/** The service could not answer this time: too busy, restarting, broken behind its load balancer. */
export class TransientFailure extends Error {
  override readonly name = 'TransientFailure';
}

/**
 * How the S3 client reaches the service: kept connections, and no wait without end. The client by itself waits for
 * ever for a service that accepts connections and says nothing.
 */
export class S3Connection {
  /** Scheme, host and port, for messages. */
  readonly origin: string;
  readonly clientOptions: Pick<ClientOptions, 'endPoint' | 'port' | 'useSSL' | 'transport' | 'transportAgent'>;
  readonly #agent: http.Agent;

  /** `timeoutMs` is how long the service may be silent. Throws TypeError for an endpoint that is none. */
  constructor(endpoint: string, timeoutMs: number) {
    const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
    if (
      url === undefined ||
      !/^https?:$/.test(url.protocol) ||
      url.pathname !== '/' ||
      url.search !== '' ||
      url.username !== ''
    ) {
      throw new TypeError('the S3 endpoint is no http or https URL of a host and port alone');
    }
    const secure = url.protocol === 'https:';
    const agentOptions = { keepAlive: true, timeout: IDLE_MS };
    this.origin = url.origin;
    this.#agent = secure ? new https.Agent(agentOptions) : new http.Agent(agentOptions);
    this.clientOptions = {
      endPoint: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port),
      useSSL: secure,
      transport: { request: impatient(secure ? https.request : http.request, timeoutMs) },
      transportAgent: this.#agent,
    };
  }

  /** Closes all connections. */
  close(): void {
    this.#agent.destroy();
  }
}

/**
 * `request`, but failing when the service is silent for `timeoutMs`, also in the middle of an answer, or answers that
 * it cannot answer. A reader who is slow to take what has arrived is not held against the service.
 */
function impatient(request: typeof http.request, timeoutMs: number): typeof http.request {
  const patched = (options: http.RequestOptions, whenAnswered: (answer: IncomingMessage) => void): ClientRequest => {
    const sent = request({ ...options, timeout: timeoutMs });
    let answer: IncomingMessage | undefined;
    sent.on('response', (response) => {
      answer = response;
      const status = response.statusCode ?? 0;
      if (status < 500 && status !== 429 && status !== 408) whenAnswered(response);
      else sent.destroy(new TransientFailure(`it answers ${status} ${response.statusMessage ?? ''}`.trim()));
    });
    sent.on('timeout', () => {
      if (answer !== undefined && answer.readableLength > 0) sent.socket?.setTimeout(timeoutMs);
      else (answer ?? sent).destroy(new Error(`it is silent for ${timeoutMs / 1000} s`));
    });
    return sent;
  };
  // The client calls it in this one of the ways in which it can be called.
  return patched as typeof http.request;
}
