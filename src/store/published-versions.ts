import type { ModulePath } from '../module/path.ts';
import { parseVersion, unescapeVersion, type Version } from '../module/version.ts';
import { versionsPrefix } from './layout.ts';
import type { ReadStore } from './store.ts';

/** The published versions of a module, in the order of their keys: those whose `.info` is there. */
export async function* publishedVersions(store: ReadStore, module: ModulePath): AsyncGenerator<Version> {
  const prefix = versionsPrefix(module);
  for await (const { key } of store.list(prefix)) {
    if (!key.endsWith('.info')) continue;
    const version = parseVersion(unescapeVersion(key.slice(prefix.length, -'.info'.length)) ?? '');
    if (version !== undefined) yield version;
  }
}
