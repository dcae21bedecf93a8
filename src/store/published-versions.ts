import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { parseInfoKey, versionsPrefix } from './layout.ts';
import type { ReadStore } from './store.ts';

/**
 * Yields the published versions of a module, in the order of their keys. A version is published once its `.info`
 * exists.
 */
export async function* publishedVersions(store: ReadStore, module: ModulePath): AsyncGenerator<Version> {
  for await (const { key } of store.list(versionsPrefix(module))) {
    const version = parseInfoKey(module, key);
    if (version !== undefined) yield version;
  }
}
