/**
 * Runs `work` while no other caller, in any process, runs work under the same `name`. This ensures that a version is
 * built only once if a client requests it while its tag is being published. Settles as `work` does.
 */
export type VersionLock = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** Creates a lock within one process. Work under the same name runs in the order of the calls. */
export function memoryLock(): VersionLock {
  const lastRuns = new Map<string, Promise<unknown>>();
  return async (name, work) => {
    const previous = lastRuns.get(name);
    const run = (async () => {
      await previous?.catch(() => undefined);
      return await work();
    })();
    lastRuns.set(name, run);
    try {
      return await run;
    } finally {
      if (lastRuns.get(name) === run) lastRuns.delete(name);
    }
  };
}
