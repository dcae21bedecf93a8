import { Condition } from './condition.ts';

/** The maximum number of waiting pieces of work under one key, so that a long listing is not held in memory. */
const MAX_WAITING_PER_KEY = 500;

type Work = () => Promise<void>;

/** Runs the work of each key in order, and the work of a limited number of keys at the same time. */
export class KeyedQueue {
  readonly #maxKeys: number;
  /** For each key with running work: the work that waits for it. */
  readonly #waiting = new Map<string, Work[]>();
  #failure: { readonly error: unknown } | undefined;
  readonly #changed = new Condition();

  /** `maxKeys` is the number of keys whose work runs at the same time. */
  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys;
  }

  /** Adds work under a key, once there is room for it. Rejects with the first error of any work; no work starts after that. */
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

  /** Resolves when all work is done. Rejects with the first error, once no work runs any more. */
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
