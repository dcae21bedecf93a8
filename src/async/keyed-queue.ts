import { Condition } from './condition.ts';

/**
 * The maximum number of work items that wait under one key. The limit keeps callers from holding a long listing in
 * memory.
 */
const MAX_WAITING_PER_KEY = 500;

type Work = () => Promise<void>;

/** Runs the work items of each key one after the other, and the work of several keys at the same time. */
export class KeyedQueue {
  readonly #maxKeys: number;
  /** The waiting work items of each key whose work is running. */
  readonly #waiting = new Map<string, Work[]>();
  #failure: { readonly error: unknown } | undefined;
  readonly #changed = new Condition();

  /** `maxKeys` is the maximum number of keys whose work runs at the same time. */
  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys;
  }

  /**
   * Adds a work item under a key as soon as there is room for it. Rejects with the first error of any work item. No
   * further work item starts after an error.
   */
  async add(key: string, work: Work): Promise<void> {
    for (;;) {
      this.#throwFailure();
      const waiting = this.#waiting.get(key);
      if (waiting && waiting.length < MAX_WAITING_PER_KEY) {
        waiting.push(work);
        return;
      }
      if (!waiting && this.#waiting.size < this.#maxKeys) {
        const started = [work];
        this.#waiting.set(key, started);
        void this.#run(key, started);
        return;
      }
      await this.#changed.wait();
    }
  }

  /**
   * Resolves when all work is done. After an error, waits for the running work items and then rejects with the first
   * error.
   */
  async settled(): Promise<void> {
    while (this.#waiting.size > 0) await this.#changed.wait();
    this.#throwFailure();
  }

  async #run(key: string, waiting: Work[]): Promise<void> {
    for (let work = waiting.shift(); work && !this.#failure; work = waiting.shift()) {
      try {
        await work();
      } catch (error) {
        this.#failure ??= { error };
      }
      this.#changed.notifyAll();
    }
    this.#waiting.delete(key);
    this.#changed.notifyAll();
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
