import { join } from 'node:path';
import type { H1 } from '../module/hash.ts';
import { hashZip } from '../module/zip/reader.ts';
import { copyToFile } from '../store/copy-to-file.ts';
import type { ReadStore } from '../store/store.ts';

/**
 * Computes the h1 of a stored zip from its bytes. Resolves to the h1 and the size in bytes, or to undefined if the
 * store has no such object. `folder` is a temporary folder for a copy of the zip. Rejects with DamagedZip if the zip
 * cannot be read.
 */
export async function hashStoredZip(
  store: ReadStore,
  key: string,
  folder: string,
): Promise<{ readonly h1: H1; readonly size: number } | undefined> {
  const path = join(folder, 'stored.zip');
  const object = await copyToFile(store, key, path);
  return object && { h1: await hashZip(path), size: object.size };
}
