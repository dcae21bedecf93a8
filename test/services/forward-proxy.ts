import { createServer, request as sendRequest } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { pipeline } from 'node:stream';

/** A forward proxy on 127.0.0.1. Only it can resolve the names of its hosts. */
export interface ForwardProxyService extends AsyncDisposable {
  readonly url: string;
  /** The requests so far: `CONNECT host:port`, or the method and the URL of a request to an http server. */
  readonly seen: string[];
}

/**
 * Starts a forward proxy. `hosts` maps each `host:port` to a port of 127.0.0.1. The proxy responds with 502 for any
 * other host, and with 407 to requests without these `credentials`, `user:password`.
 */
export async function startForwardProxy(
  hosts: Readonly<Record<string, number>>,
  credentials?: string,
): Promise<ForwardProxyService> {
  const seen: string[] = [];
  const isAllowed = (header: string | undefined): boolean =>
    credentials === undefined || header === `Basic ${Buffer.from(credentials).toString('base64')}`;

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '');
    seen.push(`${request.method} ${url.href}`);
    const port = hosts[`${url.hostname}:${url.port || 80}`];
    if (!isAllowed(request.headers['proxy-authorization'])) response.writeHead(407).end('who are you?');
    else if (port === undefined) response.writeHead(502).end('no such host');
    else {
      const { 'proxy-authorization': _, ...headers } = request.headers;
      const path = `${url.pathname}${url.search}`;
      const forwarded = sendRequest({ host: '127.0.0.1', port, path, method: request.method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.headers);
        pipeline(answer, response, () => undefined);
      });
      pipeline(request, forwarded, () => undefined);
      forwarded.on('error', () => response.destroy());
    }
  });
  server.on('connect', (request, socket) => {
    seen.push(`CONNECT ${request.url}`);
    // A client may close the connection at any time.
    socket.on('error', () => undefined);
    const port = hosts[request.url ?? ''];
    if (!isAllowed(request.headers['proxy-authorization']))
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n');
    else if (port === undefined) socket.end('HTTP/1.1 404 Not Found\r\ncontent-length: 13\r\n\r\nno such host\n');
    else {
      const target = connect(port, '127.0.0.1', () => socket.write('HTTP/1.1 200 Connection established\r\n\r\n'));
      pipeline(socket, target, socket, () => undefined);
    }
  });
  const sockets = new Set<{ destroy(): unknown }>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
