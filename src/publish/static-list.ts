import type { ModulePath } from '../module/path.ts';
import { isPseudoVersion } from '../module/version.ts';
import { listKey } from '../store/layout.ts';
import { publishedVersions } from '../store/published-versions.ts';
import type { Store } from '../store/store.ts';

/**
 * Refreshes a module's list for static serving. Of several that do so at once, the one that had looked first may write last:
 * so each looks again after it has written, and whoever wrote last has seen everything that the others did before.
 */
export async function writeList(store: Store, module: ModulePath): Promise<void> {
  let written: string | undefined;
  for (let list = await listOf(store, module); list !== written; list = await listOf(store, module)) {
    await store.put(listKey(module), Buffer.from(list));
    written = list;
  }
}

async function listOf(store: Store, module: ModulePath): Promise<string> {
  let list = '';
  for await (const version of publishedVersions(store, module)) {
    if (!isPseudoVersion(version)) list += `${version}\n`;
  }
  return list;
}
