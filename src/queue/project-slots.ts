import { setTimeout as sleep } from 'node:timers/promises';
import { Condition } from '../async/condition.ts';

/**
 * The running jobs of a process, by project. Jobs of one project never use all slots: a project whose tags take long
 * must not stop the others.
 */
export class ProjectSlots {
  readonly #running = new Map<number, number>();
  readonly #freed = new Condition();

  /** Whether another job of this project may start, in a process that runs at most `concurrency` jobs at a time. */
  hasFree(projectId: number, concurrency: number): boolean {
    return (this.#running.get(projectId) ?? 0) < Math.max(1, concurrency - 1);
  }

  /** Records the start of a job. */
  take(projectId: number): void {
    this.#running.set(projectId, (this.#running.get(projectId) ?? 0) + 1);
  }

  /** Records the end of a job. */
  free(projectId: number): void {
    const running = (this.#running.get(projectId) ?? 0) - 1;
    if (running > 0) this.#running.set(projectId, running);
    else this.#running.delete(projectId);
    this.#freed.notifyAll();
  }

  /**
   * Takes a slot as soon as `hasFree` returns true. Resolves to false if it does not within `timeoutMs` milliseconds.
   */
  async takeWhenFree(projectId: number, concurrency: number, timeoutMs: number): Promise<boolean> {
    for (const end = performance.now() + timeoutMs; !this.hasFree(projectId, concurrency);) {
      const remainingMs = end - performance.now();
      if (remainingMs <= 0) return false;
      await Promise.race([this.#freed.wait(), sleep(remainingMs, undefined, { ref: false })]);
    }
    this.take(projectId);
    return true;
  }
}
