import { AsyncLocalStorage } from 'node:async_hooks';

const background = new AsyncLocalStorage<true>();

/**
 * Runs work that leaves room for pushed tags, such as a sweep, with all work that it starts. If GITLAB_RATE is reached,
 * other calls to GitLab come first (see rate-limit/rate-limiter.ts). Returns what `work` returns.
 */
export function inBackground<T>(work: () => T): T {
  return background.run(true, work);
}

/** Whether the caller runs within `inBackground`. */
export function isInBackground(): boolean {
  return background.getStore() === true;
}
