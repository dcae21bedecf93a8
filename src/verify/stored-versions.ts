import { unescapePath, type ModulePath } from '../module/path.ts';
import { parseVersion, unescapeVersion, type Version } from '../module/version.ts';
import { moduleKey, versionsPrefix, type VersionFile } from '../store/layout.ts';
import type { ReadStore } from '../store/store.ts';
import { isSelected, type Selection } from './selection.ts';

/** A version of which the store has files. */
export interface StoredVersion {
  readonly module: ModulePath;
  readonly version: Version;
  /** Whether its `.info` is there. */
  readonly published: boolean;
}

/** Of all modules together. */
const MODULES = 'modules/';

/** The selected versions in the store, in the order of their keys; one without `.info` comes once, whichever files there are. */
export async function* storedVersions(store: ReadStore, selection: Selection): AsyncGenerator<StoredVersion> {
  const prefixes = selection === 'everything' ? [MODULES] : Array.from(selection.keys(), versionsPrefix);
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

/** Reads a key made by `moduleKey`; undefined for every other. */
function parseModuleKey(key: string): { module: ModulePath; version: Version; file: VersionFile } | undefined {
  const [, path, escaped, file] = /^modules\/(.+)\/@v\/([^/]+)\.(zip|mod|info)$/.exec(key) ?? [];
  if (path === undefined || escaped === undefined) return undefined;
  const module = unescapePath(path);
  const version = parseVersion(unescapeVersion(escaped) ?? '');
  if (typeof module !== 'string' || version === undefined) return undefined;
  return { module, version, file: file as VersionFile };
}
