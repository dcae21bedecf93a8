import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { Logger } from 'pino';
import { closeStalledConnections, type ClientRate } from './stalled-connections.ts';

/**
 * All timeouts of the HTTP server, in milliseconds. docs/operations/index.md describes them.
 *
 * Load balancers keep idle connections open for 60 s (the default of AWS and nginx). The service keeps them longer. If
 * the service closed a connection first, a request that was just sent on it would be lost, and the client would get a
 * 502. Node's default is 5 s.
 */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
/** The time in which the headers of a request have to arrive. */
const HEADERS_TIMEOUT_MS = 80_000;
/** The time in which a whole request has to arrive. GitLab itself gives up on a webhook after 10 s. */
const REQUEST_TIMEOUT_MS = 90_000;
/** Even through a slow connection with many downloads at once, a client takes a response faster than this. */
const CLIENT_RATE: ClientRate = { bytes: 256 * 1024, windowMs: 60_000 };
/** How long `stopHttpServer` waits for requests in progress. */
const STOP_TIMEOUT_MS = 20_000;

/**
 * Creates the HTTP server of the service. Its connections have timeouts, and clients that take a response too slowly
 * are disconnected. The caller starts it and ends it with `stopHttpServer`.
 */
export function createHttpServer(listener: RequestListener, log: Logger, clientRate: ClientRate = CLIENT_RATE): Server {
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
    },
    listener,
  );
  closeStalledConnections(server, clientRate, ({ remoteAddress }) =>
    log.info(
      { event: 'connection.stalled', remote: remoteAddress },
      'a client took a response too slowly; its connection is closed',
    ),
  );
  return server;
}

/** Stops the server and lets requests in progress finish. After 20 s it closes the connections that are still open. */
export async function stopHttpServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  const timer = setTimeout(() => server.closeAllConnections(), STOP_TIMEOUT_MS);
  await closed;
  clearTimeout(timer);
}
