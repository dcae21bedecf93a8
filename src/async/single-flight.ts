/**
 * Runs work once for all concurrent calls with the same key. A call that arrives while the work is running gets the
 * same result or error. The result is not cached.
 */
export class SingleFlight<T> {
  readonly #running = new Map<string, Promise<T>>();

  /**
   * Returns the promise of the work that is running for `key`. If no work is running for this key, starts `work` and
   * returns its promise.
   */
  run(key: string, work: () => Promise<T>): Promise<T> {
    const running = this.#running.get(key);
    if (running) return running;
    const promise = work().finally(() => this.#running.delete(key));
    this.#running.set(key, promise);
    return promise;
  }
}
