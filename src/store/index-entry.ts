import { createHash } from 'node:crypto';
import { jsonLine } from '../io/json.ts';
import type { ModulePath } from '../module/path.ts';
import type { Version } from '../module/version.ts';
import { indexKey, moduleKey } from './layout.ts';
import type { Store } from './store.ts';

/** The fields of an outcome that determine its index entry. */
export interface Indexed {
  readonly status: string;
  readonly module?: ModulePath | undefined;
  readonly version?: Version | undefined;
}

/**
 * Writes the index entry of a published outcome unless it exists. Does nothing for any other outcome. The key contains
 * the time at which the version's `.info` was stored, so a repeated or concurrent call writes no second entry.
 */
export async function writeIndexEntry(store: Store, { status, module, version }: Indexed): Promise<void> {
  if (status !== 'published' || module === undefined || version === undefined) return;
  const info = await store.stat(moduleKey(module, version, 'info'));
  if (!info) return;
  const unique = createHash('sha256').update(`${module}@${version}`).digest('hex').slice(0, 16);
  const key = indexKey(info.modified, unique);
  if (await store.stat(key)) return;
  const entry = { Path: module, Version: version, Timestamp: info.modified.toISOString() };
  await store.put(key, jsonLine(entry));
}
