import type { ModulePath } from '../module/path.ts';
import { isPseudoVersion } from '../module/version.ts';
import { listKey } from '../store/layout.ts';
import { publishedVersions } from '../store/published.ts';
import type { Store } from '../store/store.ts';

/** Refreshes a module's list for static serving: a copy, which the next publish makes anew. */
export async function writeList(store: Store, module: ModulePath): Promise<void> {
  const versions: string[] = [];
  for await (const version of publishedVersions(store, module)) {
    if (!isPseudoVersion(version)) versions.push(version);
  }
  await store.put(listKey(module), Buffer.from(versions.map((version) => `${version}\n`).join('')));
}
