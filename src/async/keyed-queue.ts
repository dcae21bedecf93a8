import { Condition } from './condition.ts';

/** So much waits in one lane at most, so that a long listing is not held in memory. */
const BACKLOG = 500;

type Work = () => Promise<void>;

/** Runs work in a bounded number of lanes: one after the other within a lane, all lanes side by side. */
export class KeyedQueue {
  readonly #limit: number;
  /** What waits in each lane that is at work. */
  readonly #lanes = new Map<string, Work[]>();
  #failure: { readonly error: unknown } | undefined;
  readonly #turn = new Condition();

  /** `limit` is how many lanes there are at a time. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Adds work to a lane, once there is room for it. Rejects with the first error of any work; nothing runs after that. */
  async add(lane: string, work: Work): Promise<void> {
    for (;;) {
      this.#throwFailure();
      const waiting = this.#lanes.get(lane);
      if (waiting && waiting.length < BACKLOG) {
        waiting.push(work);
        return;
      }
      if (!waiting && this.#lanes.size < this.#limit) {
        const begun = [work];
        this.#lanes.set(lane, begun);
        void this.#run(lane, begun);
        return;
      }
      await this.#turn.wait();
    }
  }

  /** Resolves when all work is done; rejects with the first error, when nothing runs any more. */
  async settled(): Promise<void> {
    while (this.#lanes.size > 0) await this.#turn.wait();
    this.#throwFailure();
  }

  async #run(lane: string, waiting: Work[]): Promise<void> {
    for (let work = waiting.shift(); work && !this.#failure; work = waiting.shift()) {
      try {
        await work();
      } catch (error) {
        this.#failure ??= { error };
      }
      this.#turn.notifyAll();
    }
    this.#lanes.delete(lane);
    this.#turn.notifyAll();
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
