import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';

/**
 * Runs `work` when nobody else, in all processes together, is at the same thing; `name` says which. So a version that
 * somebody asks for while its tag is being published is built once.
 */
export type VersionLock = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** The name under which a version is locked, by whoever publishes it or takes it away. */
export function lockName(module: ModulePath, version: Version): string {
  return `${module}@${version}`;
}

/** The lock within one process: whoever comes waits for those before. */
export function memoryLock(): VersionLock {
  const last = new Map<string, Promise<unknown>>();
  return async (name, work) => {
    const before = last.get(name);
    const run = (async () => {
      await before?.catch(() => undefined);
      return await work();
    })();
    last.set(name, run);
    try {
      return await run;
    } finally {
      if (last.get(name) === run) last.delete(name);
    }
  };
}
