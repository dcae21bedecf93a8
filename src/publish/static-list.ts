import type { ModulePath } from '../module/path.ts';
import { isPseudoVersion, parseVersion, type Version } from '../module/version.ts';
import { compareKeys } from '../store/key.ts';
import { listKey, moduleKey } from '../store/layout.ts';
import { publishedVersions } from '../store/published-versions.ts';
import type { Store } from '../store/store.ts';

/** The version whose `.info` was written or deleted just before. */
export type ListChange = { readonly added: Version } | { readonly removed: Version };

/**
 * Writes a module's list for static serving. If several processes write the list at the same time, one of them may
 * overwrite a newer list with an older one. Therefore each process reads the versions after each write, until the list
 * that it wrote is current.
 *
 * The first list that it writes is the stored one with the change. This list is nearly always current, so the versions,
 * of which there may be thousands, are read only once.
 */
export async function writeList(store: Store, module: ModulePath, change: ListChange): Promise<void> {
  const stored = (await store.get(listKey(module)))?.toString();
  const expected = withChange(stored ?? '', module, change);
  if (expected !== stored) await store.put(listKey(module), Buffer.from(expected));
  let written = expected;
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

/** Returns a list with the change, in the order of `listOf`. */
function withChange(list: string, module: ModulePath, change: ListChange): string {
  const versions = list.split('\n').flatMap((line) => parseVersion(line) ?? []);
  if ('removed' in change) return textOf(versions.filter((version) => version !== change.removed));
  const { added } = change;
  if (isPseudoVersion(added) || versions.includes(added)) return list;
  const keyOf = (version: Version): string => moduleKey(module, version, 'info');
  const position = versions.findIndex((version) => compareKeys(keyOf(version), keyOf(added)) > 0);
  return textOf(versions.toSpliced(position < 0 ? versions.length : position, 0, added));
}

function textOf(versions: readonly Version[]): string {
  return versions.map((version) => `${version}\n`).join('');
}
