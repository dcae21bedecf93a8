import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { moduleKey, MODULES_PREFIX, parseModuleKey, versionsPrefix } from '../store/layout.ts';
import type { ReadStore } from '../store/store.ts';
import { isSelected, type Selection } from './selection.ts';

/** A version with files in the store. */
export interface StoredVersion {
  readonly module: ModulePath;
  readonly version: Version;
  /** Whether the version has an `.info`, which a publish writes last. */
  readonly published: boolean;
}

/**
 * Yields the selected versions in the store, module by module. Within a module, versions are in the order of their
 * keys. Yields each version once, regardless of the number of its files. Throws StoreUnavailable.
 */
export async function* storedVersions(store: ReadStore, selection: Selection): AsyncGenerator<StoredVersion> {
  const prefixes = selection === 'everything' ? [MODULES_PREFIX] : Array.from(selection.keys(), versionsPrefix);
  for (const prefix of prefixes) {
    for await (const stored of versionsBelow(store, prefix)) {
      if (isSelected(selection, stored.module, stored.version)) yield stored;
    }
  }
}

/**
 * Counts the published versions among `storedVersions`. Calls `onCount` for each of them with the number so far. Stops
 * early once `signal` is aborted. Rejects with StoreUnavailable.
 */
export async function countPublished(
  store: ReadStore,
  selection: Selection,
  onCount: (count: number) => void,
  signal: AbortSignal,
): Promise<void> {
  let count = 0;
  for await (const { published } of storedVersions(store, selection)) {
    if (signal.aborted) return;
    if (published) onCount((count += 1));
  }
}

async function* versionsBelow(store: ReadStore, prefix: string): AsyncGenerator<StoredVersion> {
  // The module whose keys are being listed, and its versions seen so far.
  let current: ModulePath | undefined;
  let seen = new Set<Version>();
  for await (const { key } of store.list(prefix)) {
    const parsed = parseModuleKey(key);
    if (!parsed) continue;
    const { module, version, file } = parsed;
    if (module !== current) seen = new Set();
    current = module;
    // Keys are sorted, so the `.info` of a version comes before its other files.
    if (seen.has(version)) continue;
    seen.add(version);
    if (file === 'info') yield { module, version, published: true };
    // The version may have been published after the listing passed the key of its `.info`.
    else yield { module, version, published: (await store.stat(moduleKey(module, version, 'info'))) !== undefined };
  }
}
