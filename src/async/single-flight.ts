/**
 * Runs work once for concurrent calls with the same key: a call that comes while the work runs gets its result or its
 * error. The result is not kept after the work has ended.
 */
export class SingleFlight<T> {
  readonly #running = new Map<string, Promise<T>>();

  /** Resolves or rejects as the work that runs for `key` does; starts `work` if none runs. */
  run(key: string, work: () => Promise<T>): Promise<T> {
    const running = this.#running.get(key);
    if (running) return running;
    const promise = work().finally(() => this.#running.delete(key));
    this.#running.set(key, promise);
    return promise;
  }
}
