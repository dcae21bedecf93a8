import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An HTTP server on 127.0.0.1 that records its requests. */
export interface Stub extends AsyncDisposable {
  readonly url: string;
  /** The requested paths, in order, percent-decoded. */
  readonly asked: string[];
  /** Stops the server, which then refuses connections. A second call has no effect. */
  readonly close: () => Promise<void>;
}

/** Maps each path to its body, or to a function that responds. The stub responds with 404 to all other paths. */
export type Routes = Record<string, string | Buffer | ((response: ServerResponse, request: IncomingMessage) => void)>;

/** Starts a stub. The routes may be changed while it runs. */
export async function startStub(routes: Routes = {}): Promise<Stub> {
  const asked: string[] = [];
  const server = await listen((request, response) => {
    const path = decodeURIComponent(request.url ?? '');
    asked.push(path);
    const route = routes[path];
    if (typeof route === 'function') route(response, request);
    else if (route === undefined) response.writeHead(404, { 'content-type': 'text/plain' }).end(`no ${path} here\n`);
    else response.end(route);
  });
  return { ...server, asked };
}

/** Starts a server on a free port of 127.0.0.1. */
export async function listen(handler: RequestListener): Promise<Pick<Stub, 'url' | 'close'> & AsyncDisposable> {
  const server = createServer(handler);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
  return { url: `http://127.0.0.1:${port}`, close, [Symbol.asyncDispose]: close };
}
