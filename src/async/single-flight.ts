/** Work that runs, and the callers that wait for it. */
interface Flight<T> {
  readonly result: Promise<T>;
  readonly abandoned: AbortController;
  callers: number;
}

/**
 * Runs work once for all concurrent calls with the same key. A call that arrives while the work is running gets the
 * same result or error. The result is not cached.
 */
export class SingleFlight<T> {
  readonly #maxAbandoned: number;
  readonly #running = new Map<string, Flight<T>>();
  /** The work without callers. */
  readonly #abandoned = new Set<Flight<T>>();

  /** `maxAbandoned` is how many pieces of work may continue after all their callers have left. */
  constructor(maxAbandoned = 0) {
    this.#maxAbandoned = maxAbandoned;
  }

  /**
   * Returns the promise of the work that is running for `key`. If no work is running for this key, starts `work` and
   * returns its promise.
   *
   * A caller leaves when its signal `caller` aborts. If all callers have left and too much other work continues without
   * callers, the signal of the work aborts with the reason of the last one. The next call then starts new work.
   */
  run(key: string, work: (signal: AbortSignal) => Promise<T>, caller?: AbortSignal): Promise<T> {
    const flight = this.#running.get(key) ?? this.#start(key, work);
    flight.callers++;
    this.#abandoned.delete(flight);
    if (caller) this.#leaveWith(caller, key, flight);
    return flight.result;
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> {
    const abandoned = new AbortController();
    const result = work(abandoned.signal).finally(() => this.#forget(key, flight));
    const flight: Flight<T> = { result, abandoned, callers: 0 };
    this.#running.set(key, flight);
    return flight;
  }

  #leaveWith(caller: AbortSignal, key: string, flight: Flight<T>): void {
    const leave = (): void => {
      flight.callers--;
      if (flight.callers > 0) return;
      if (this.#abandoned.size < this.#maxAbandoned) {
        this.#abandoned.add(flight);
        return;
      }
      this.#forget(key, flight);
      flight.abandoned.abort(caller.reason);
    };
    if (caller.aborted) {
      leave();
      return;
    }
    caller.addEventListener('abort', leave);
    const end = (): void => caller.removeEventListener('abort', leave);
    flight.result.then(end, end);
  }

  #forget(key: string, flight: Flight<T>): void {
    this.#abandoned.delete(flight);
    if (this.#running.get(key) === flight) this.#running.delete(key);
  }
}
