/**
 * A condition variable. It wakes all waiting callers after the state on which they depend has changed, so that they
 * check this state again.
 */
export class Condition {
  #waiting: (() => void)[] = [];

  /** Resolves at the next `notifyAll`. */
  async wait(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Wakes all waiting callers. */
  notifyAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
