import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline, Readable } from 'node:stream';

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

/**
 * Sends a body of `bytes` bytes, as fast as the client takes them. `first` and `last` are its beginning and its end.
 * Calls `onSent` with the length of each chunk that was sent.
 */
export function sendLarge(
  response: ServerResponse,
  bytes: number,
  onSent: (length: number) => void,
  [first, last]: readonly [string, string] = ['', ''],
): void {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  const chunks = function* (): Generator<Buffer> {
    yield Buffer.from(first);
    for (let sent = first.length + last.length; sent < bytes; sent += chunk.length) {
      onSent(chunk.length);
      yield chunk;
    }
    yield Buffer.from(last);
  };
  pipeline(Readable.from(chunks()), response, () => undefined);
}

/** Sends a body that never ends, with a byte every 20 ms. */
export function sendSlowly(response: ServerResponse): void {
  const timer = setInterval(() => response.write('x'), 20);
  response.once('close', () => clearInterval(timer));
}
