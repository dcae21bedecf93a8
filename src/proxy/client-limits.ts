import type { OnDemandRequest } from '../requests/on-demand-request.ts';
import { requestId } from '../requests/requests.ts';

/**
 * The maximum number of different requests of a client for one module that wait for a worker. A worker handles fewer in
 * the time that a client waits.
 */
const MAX_FOR_MODULE = 1_000;
/**
 * The maximum number for all modules. It is below MAX_WAITING_REQUESTS, so that a single client cannot fill the queue.
 * It is above MAX_FOR_MODULE: if many people share an address, a flood for one module must not keep them from the
 * others.
 */
const MAX_FOR_CLIENT = 5_000;

/** Limits how many different requests of each client wait at the same time. */
export class ClientLimits {
  /** The number of equal requests that wait, by client and request. */
  readonly #equal = new Counts();
  /** The number of different requests that wait, by client and module. */
  readonly #modules = new Counts();
  /** The number of different requests that wait, by client. */
  readonly #clients = new Counts();

  /**
   * Counts a request of the client with this address until the returned function is called. Returns undefined if too
   * many other requests of this client wait.
   */
  enter(address: string, request: OnDemandRequest): (() => void) | undefined {
    const equal = `${address} ${requestId(request)}`;
    const module = `${address} ${request.module}`;
    if (this.#equal.of(equal) === 0) {
      if (this.#modules.of(module) >= MAX_FOR_MODULE || this.#clients.of(address) >= MAX_FOR_CLIENT) return undefined;
      this.#modules.change(module, 1);
      this.#clients.change(address, 1);
    }
    this.#equal.change(equal, 1);
    return () => {
      this.#equal.change(equal, -1);
      if (this.#equal.of(equal) > 0) return;
      this.#modules.change(module, -1);
      this.#clients.change(address, -1);
    };
  }
}

class Counts {
  readonly #counts = new Map<string, number>();

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  change(key: string, by: number): void {
    const count = this.of(key) + by;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }
}
