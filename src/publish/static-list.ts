import type { ModulePath } from '../module/path.ts';
import { isPseudoVersion } from '../module/version.ts';
import { listKey } from '../store/layout.ts';
import { publishedVersions } from '../store/published-versions.ts';
import type { Store } from '../store/store.ts';

/**
 * Writes a module's list for static serving. If several processes write the list at the same time, one of them may
 * overwrite a newer list with an older one. Therefore each process reads the versions again after each write, until the
 * list that it wrote is current.
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
