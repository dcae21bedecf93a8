/** Releases a place. A second call has no effect. */
export type Release = () => void;

/** Limits how many pieces of work run at the same time. Waiting work starts in the order of its calls. */
export class ConcurrencyLimit {
  readonly #waitMs: number;
  readonly #waiting = new Set<() => void>();
  #free: number;

  /** `max` pieces of work may run at the same time. Further work waits up to `waitMs` milliseconds for its place. */
  constructor(max: number, waitMs: number) {
    this.#free = max;
    this.#waitMs = waitMs;
  }

  /**
   * Resolves to a function that releases the place, which the caller has to call. Resolves to undefined if no place
   * became free in time.
   */
  async acquire(): Promise<Release | undefined> {
    if (this.#free > 0) this.#free--;
    // A place that is passed on to waiting work is never free in between.
    else if (!(await this.#wait())) return undefined;
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      const [next] = this.#waiting;
      if (next) next();
      else this.#free++;
    };
  }

  /** Resolves to true once a place was passed on, or to false after the time. */
  async #wait(): Promise<boolean> {
    return await new Promise((resolve) => {
      const start = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(start);
        resolve(true);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(start);
        resolve(false);
      }, this.#waitMs);
      this.#waiting.add(start);
    });
  }
}
