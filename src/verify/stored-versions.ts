import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { moduleKey, MODULES_PREFIX, parseModuleKey, versionsPrefix } from '../store/layout.ts';
import type { ReadStore } from '../store/store.ts';
import { isSelected, type Selection } from './selection.ts';

/** A version of which the store has files. */
export interface StoredVersion {
  readonly module: ModulePath;
  readonly version: Version;
  /** Whether its `.info` is there. */
  readonly published: boolean;
}

/** The selected versions in the store, in the order of their keys; one without `.info` comes once, whichever files there are. */
export async function* storedVersions(store: ReadStore, selection: Selection): AsyncGenerator<StoredVersion> {
  const prefixes = selection === 'everything' ? [MODULES_PREFIX] : Array.from(selection.keys(), versionsPrefix);
  for (const prefix of prefixes) {
    for await (const found of versionsBelow(store, prefix)) {
      if (isSelected(selection, found.module, found.version)) yield found;
    }
  }
}

/** How many versions `storedVersions` gives that are published, told while they are counted. */
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
  // What was seen of the module whose keys are being listed.
  let current: ModulePath | undefined;
  let seen = new Set<Version>();
  for await (const { key } of store.list(prefix)) {
    const parsed = parseModuleKey(key);
    if (!parsed) continue;
    const { module, version, file } = parsed;
    if (module !== current) seen = new Set();
    current = module;
    // Of one version, `.info` is listed first.
    if (seen.has(version)) continue;
    seen.add(version);
    if (file === 'info') yield { module, version, published: true };
    // It may have been published since the listing came past.
    else yield { module, version, published: (await store.stat(moduleKey(module, version, 'info'))) !== undefined };
  }
}
