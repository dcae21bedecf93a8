/** What many wait for: that something has changed, so that they look again. */
export class Condition {
  #waiting: (() => void)[] = [];

  /** Resolves at the next `come`. */
  async wait(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Wakes all who wait. */
  notifyAll(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
