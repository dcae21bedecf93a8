/** Wakes all waiting callers when the state that they depend on has changed, so that they check it again. */
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
