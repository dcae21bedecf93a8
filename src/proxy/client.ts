import { setMaxListeners } from 'node:events';
import { isIP, type Socket } from 'node:net';
import type { Request } from 'express';
import type { Client as WaitingClient } from '../requests/requests.ts';

/** The client of a request. Its address and its signal decide how an on-demand request waits for a worker. */
export interface Client extends WaitingClient {
  /** The `Via` header of the request. */
  readonly via?: string | undefined;
}

/** The reason of the signal of a client. Nobody receives the answer any more, so its work can end. */
export class ClientLeft extends Error {
  override readonly name = 'ClientLeft';

  constructor() {
    super('the client has closed its connection');
  }
}

/** Recognizes the clients of requests. */
export class Clients {
  readonly #signals = new WeakMap<Socket, AbortSignal>();

  /**
   * Returns the client of a request. Its address is the one that Express trusts (`trust proxy`). Its signal aborts with
   * ClientLeft when its connection closes.
   */
  of(request: Request): Client {
    const { ip = '', socket } = request;
    // A trusted proxy can send any text in X-Forwarded-For.
    const address = isIP(ip) === 0 ? (socket.remoteAddress ?? '') : ip;
    return { address, signal: this.#signalOf(socket), via: request.get('Via') };
  }

  /**
   * The responses of a connection share a signal, because a client of HTTP/1.1 gives up a request by closing the
   * connection. If it has sent several requests at once, Node emits `close` only for the first of their responses.
   */
  #signalOf(socket: Socket): AbortSignal {
    const known = this.#signals.get(socket);
    if (known) return known;
    const connection = new AbortController();
    const leave = (): void => connection.abort(new ClientLeft());
    if (socket.destroyed) leave();
    else socket.once('close', leave);
    // Each request adds listeners, and Node would warn from the eleventh listener on.
    setMaxListeners(0, connection.signal);
    this.#signals.set(socket, connection.signal);
    return connection.signal;
  }
}
